package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/podrt/podrt/netprobe"
)

// What of gRPC a health check needs is a POST of HTTP/2 without TLS
// (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md), with messages of one field each
// (doc/health-checking.md, grpc.health.v1).

const (
	grpcUnimplemented = 12 // status code of a method that the server does not have
	serving           = 1  // HealthCheckResponse.ServingStatus
)

var servingNames = [...]string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

// askGRPC succeeds when the service is SERVING.
func askGRPC(ctx context.Context, r *netprobe.Request) error {
	t := newTransport(ctx)
	t.Protocols = new(http.Protocols)
	t.Protocols.SetUnencryptedHTTP2(true)
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(r.Address.String(), strconv.Itoa(int(r.Port))), Path: "/grpc.health.v1.Health/Check"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(healthRequest(r.Service)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	req.Header.Set("User-Agent", "podrt-probe/"+version)
	res, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP status %d, which is no gRPC", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1)) // the trailer comes behind it
	if err != nil {
		return err
	}
	if len(body) > maxBody {
		return fmt.Errorf("an answer of more than %d bytes", maxBody)
	}
	if err := grpcStatus(res); err != nil {
		return err
	}
	status, err := healthResponse(body)
	if err != nil {
		return err
	}
	if status != serving {
		name := strconv.FormatUint(status, 10)
		if status < uint64(len(servingNames)) {
			name = servingNames[status]
		}
		return fmt.Errorf("service %q is %s", r.Service, name)
	}
	return nil
}

// grpcStatus is the status of a call: in the trailer, or, of an answer without a
// message, in the header.
func grpcStatus(res *http.Response) error {
	code, message := res.Trailer.Get("Grpc-Status"), res.Trailer.Get("Grpc-Message")
	if code == "" {
		code, message = res.Header.Get("Grpc-Status"), res.Header.Get("Grpc-Message")
	}
	if text, err := url.PathUnescape(message); err == nil {
		message = text
	}
	switch code {
	case "0":
		return nil
	case "":
		return errors.New("an answer without a status, which is no gRPC")
	case strconv.Itoa(grpcUnimplemented):
		return errors.New("the server does not implement the gRPC health protocol (grpc.health.v1.Health)")
	}
	return fmt.Errorf("gRPC status %s: %s", code, message)
}

// healthRequest is a HealthCheckRequest: field 1 is the service, and is left out when
// it is empty.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = append(message, 1<<3|2) // its number, and that its length follows
		message = binary.AppendUvarint(message, uint64(len(service)))
		message = append(message, service...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) // not compressed
	return append(frame, message...)
}

var errHealthResponse = errors.New("an answer that is no HealthCheckResponse")

// healthResponse reads a HealthCheckResponse: field 1 is the status, 0 when it is left
// out. Other fields are those of versions to come.
func healthResponse(b []byte) (status uint64, err error) {
	if len(b) < 5 || b[0] != 0 || int64(binary.BigEndian.Uint32(b[1:])) != int64(len(b)-5) {
		return 0, errHealthResponse
	}
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			err, b = errHealthResponse, nil
			return 0
		}
		b = b[n:]
		return v
	}
	skip := func(n uint64) {
		if n > uint64(len(b)) {
			err, b = errHealthResponse, nil
			return
		}
		b = b[n:]
	}
	for b = b[5:]; len(b) > 0; {
		switch key := next(); {
		case err != nil:
		case key == 1<<3: // field 1, a number
			status = next()
		case key&7 == 0: // a number
			next()
		case key&7 == 1: // of 64 bits
			skip(8)
		case key&7 == 2: // of that length
			skip(next())
		case key&7 == 5: // of 32 bits
			skip(4)
		default:
			return 0, errHealthResponse
		}
	}
	return status, err
}
