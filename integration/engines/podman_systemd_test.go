package engines

import (
	"fmt"
	"strings"
	"testing"
)

// podmanSystemdPods need systemd: with the cgroupfs driver podman's pods are in
// the way of their containers.
var podmanSystemdPods = []operation[*podman]{
	{name: "pod", on: inVM, do: func(x *try, p *podman) {
		id := p.createPod(x, "web")
		p.do(x, "run", "--detach", "--pod", "web", "--name", "server", podmanImage, "/probe", "listen", "127.0.0.1:80", "served")
		if got := p.cgroup(x, "server"); !strings.Contains(got, "/machine-libpod_pod_"+id+".slice/") {
			x.Errorf("cgroup %q; want it in the pod's slice", got)
		}
		if got := p.do(x, "run", "--rm", "--pod", "web", podmanImage, "sh", "-c", "/probe dial 127.0.0.1:80 2> /dev/null"); got != "served" {
			x.Errorf("dial of a port on the pod's localhost: %q; want served", got)
		}
	}},
	{name: "play-kube", on: inVM, do: playKube},
}

// playKube runs a manifest of Kubernetes'.
func playKube(x *try, p *podman) {
	manifest := p.write(x, "pod.yaml", fmt.Sprintf(kubePod, podmanImage, podmanImage))
	x.Cleanup(func(t *testing.T) {
		for _, fault := range attempt(t, func(x *try) { p.removePod(x, "kube") }) {
			t.Errorf("clean up: %s", fault)
		}
	})
	p.do(x, "play", "kube", "--network", "none", manifest)
	x.eventually("the writer", func() bool { return p.try(x, "exec", "kube-reader", "cat", "/data/file").out == "written" })
	if got := p.do(x, "exec", "kube-reader", "sh", "-c", "echo $SAID; id -u"); got != "yes\n1000" {
		x.Errorf("exec: %q; want yes, 1000", got)
	}
	p.do(x, "play", "kube", "--down", manifest)
}
