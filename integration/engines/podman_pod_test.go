package engines

import (
	"strings"
	"testing"
)

// createPod makes a pod that ends with the operation.
func (p *podman) createPod(x *try, name string, options ...string) (id string) {
	x.Cleanup(func(t *testing.T) {
		for _, fault := range attempt(t, func(x *try) { p.removePod(x, name) }) {
			t.Errorf("clean up: %s", fault)
		}
	})
	return p.do(x, append([]string{"pod", "create", "--name", name, "--infra-image", podmanImage, "--infra-command", "sleep 1000"}, options...)...)
}

// removePod removes a pod, if it is there.
func (p *podman) removePod(x *try, name string) {
	x.eventually("the removal of pod "+name, func() bool {
		r := p.try(x, "pod", "rm", "--force", "--ignore", "--time", "0", name)
		if r.code != 0 && !strings.Contains(r.stderr, "userdata/shm: device or resource busy") {
			x.Fatalf("%s", r)
		}
		return r.code == 0
	})
}

// What Debian's podman does with the cgroup of a pod, and how to avoid it.
const (
	deniesDevices = "with the cgroupfs driver, podman 4.3.1 denies /dev/null to containers that are below their pod's cgroup"
	ownParent     = "--share-parent=false"
)

var podmanPods = []operation[*podman]{
	{name: "pod", do: func(x *try, p *podman) {
		p.createPod(x, "web", ownParent)
		p.do(x, "run", "--detach", "--pod", "web", "--name", "server", podmanImage, "/probe", "listen", "127.0.0.1:80", "served")
		x.eventually("the server", func() bool { return strings.HasPrefix(p.do(x, "logs", "server"), "ready") })
		if got := p.do(x, "run", "--rm", "--pod", "web", podmanImage, "/probe", "dial", "127.0.0.1:80"); got != "served" {
			x.Errorf("dial of a port on the pod's localhost: %q; want served", got)
		}
		p.do(x, "run", "--detach", "--pod", "web", "--name", "client", podmanImage, "sleep", "1000")
		if got := p.do(x, "exec", "client", "/probe", "dial", "127.0.0.1:80"); got != "served" {
			x.Errorf("exec of the dial: %q; want served", got)
		}
		// Shared are net, ipc and uts; pid is each one's own.
		infra := p.do(x, "pod", "inspect", "--format", "{{.InfraContainerID}}", "web")
		of := func(name string) []string {
			return strings.Split(p.do(x, "exec", name, "/probe", "ns"), "\n")
		}
		first, second, third := of(infra), of("server"), of("client")
		for i, line := range first {
			kind, _, _ := strings.Cut(line, " ")
			shared := strings.Contains("net ipc uts user time", kind)
			if (second[i] == line && third[i] == line) != shared {
				x.Errorf("namespaces %q, %q, %q; want shared: %v", line, second[i], third[i], shared)
			}
		}
		if got := p.do(x, "generate", "kube", "web"); !strings.Contains(got, "kind: Pod") || !strings.Contains(got, "name: server") {
			x.Errorf("generate kube: %q; want a pod", got)
		}
		p.podStatus(x, "Running")
		p.do(x, "pod", "pause", "web")
		p.podStatus(x, "Paused")
		p.do(x, "pod", "unpause", "web")
		p.podStatus(x, "Running")
		p.do(x, "pod", "stop", "--time", "0", "web")
		p.podStatus(x, "Exited")
		p.do(x, "pod", "start", "web")
		p.podStatus(x, "Running")
		p.do(x, "pod", "kill", "web")
		x.eventually("the pod's end", func() bool {
			return p.do(x, "pod", "inspect", "--format", "{{.State}}", "web") == "Exited"
		})
		p.removePod(x, "web")
		if r := p.try(x, "pod", "exists", "web"); r.code != 1 {
			x.Errorf("%s; want it to be gone", r)
		}
	}},
	{name: "pod-share-pid", do: func(x *try, p *podman) {
		p.createPod(x, "shared", ownParent, "--share", "net,ipc,uts,pid")
		p.do(x, "run", "--detach", "--pod", "shared", "--name", "one", podmanImage, "sleep", "1001")
		p.do(x, "run", "--detach", "--pod", "shared", "--name", "two", podmanImage, "sleep", "1002")
		if got := p.do(x, "exec", "one", "ps"); !strings.Contains(got, "sleep 1000") || !strings.Contains(got, "sleep 1002") {
			x.Errorf("ps: %q; want the processes of all", got)
		}
		// The end of one is not the others'.
		p.do(x, "kill", "two")
		if got := p.do(x, "wait", "two"); got != "137" {
			x.Errorf("wait: %q; want 137", got)
		}
		p.do(x, "exec", "one", "true")
		p.do(x, "stop", "--time", "1", "one")
	}},
	{
		name:    "pod-share-parent",
		allFail: deniesDevices + "; --share-parent=false avoids it",
		do: func(x *try, p *podman) {
			p.createPod(x, "parent")
			p.do(x, "run", "--rm", "--pod", "parent", podmanImage, "sh", "-c", "echo > /dev/null")
		},
	},
	{name: "play-kube", allFail: deniesDevices, do: playKube},
}

// podStatus looks whether the pod "web" is as it should be.
func (p *podman) podStatus(x *try, want string) {
	if got := p.do(x, "pod", "inspect", "--format", "{{.State}}", "web"); got != want {
		x.Errorf("the pod is %q; want %q", got, want)
	}
}

const kubePod = `apiVersion: v1
kind: Pod
metadata:
  name: kube
spec:
  volumes:
  - name: data
    emptyDir: {}
  containers:
  - name: writer
    image: %s
    command: ["sh", "-c", "echo written > /data/file; exec sleep 1000"]
    volumeMounts:
    - {name: data, mountPath: /data}
  - name: reader
    image: %s
    command: ["sleep", "1000"]
    env:
    - {name: SAID, value: "yes"}
    securityContext:
      runAsUser: 1000
    volumeMounts:
    - {name: data, mountPath: /data}
`
