// Command cri calls one method of an engine's CRI socket:
//
//	cri SOCKET METHOD [REQUEST]
//
// as in
//
//	cri /run/containerd/containerd.sock StartContainer '{"containerId": "1f…"}'
//
// METHOD is one of RuntimeService or ImageService of runtime.v1; REQUEST and the
// answer, which it prints, are in protobuf's JSON form. If the call fails it
// prints the status code and the message, and exits with 1.
//
// It is a module of its own: neither gRPC nor Kubernetes is a requirement of
// podrt's.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// limit bounds a call. Stopping a container takes as long as it is told to.
const limit = 5 * time.Minute

func main() {
	if len(os.Args) < 3 || len(os.Args) > 4 {
		fmt.Fprintln(os.Stderr, "usage: cri SOCKET METHOD [REQUEST]")
		os.Exit(2)
	}
	request := "{}"
	if len(os.Args) == 4 {
		request = os.Args[3]
	}
	answer, err := call(os.Args[1], os.Args[2], request)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(answer)
}

func call(socket, name, request string) (string, error) {
	method := find(name)
	if method == nil {
		return "", fmt.Errorf("method %q: not in CRI v1", name)
	}
	in, out := dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output())
	if err := protojson.Unmarshal([]byte(request), in); err != nil {
		return "", fmt.Errorf("request of %s: %w", name, err)
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	path := fmt.Sprintf("/%s/%s", method.Parent().FullName(), name)
	if err := conn.Invoke(ctx, path, in, out); err != nil {
		s := status.Convert(err)
		return "", fmt.Errorf("%s: %s", s.Code(), s.Message())
	}
	b, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(out)
	return string(b), err
}

// find returns the method of that name; nil if there is none.
func find(name string) protoreflect.MethodDescriptor {
	services := cri.File_staging_src_k8s_io_cri_api_pkg_apis_runtime_v1_api_proto.Services()
	for i := range services.Len() {
		if m := services.Get(i).Methods().ByName(protoreflect.Name(name)); m != nil {
			return m
		}
	}
	return nil
}
