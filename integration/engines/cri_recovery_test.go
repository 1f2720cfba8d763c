package engines

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

var criRecovery = []operation[*kubelet]{
	{name: "pause-killed", do: func(x *try, k *kubelet) {
		p := k.run(x, "pausekilled", object{"securityContext": namespaces(criContainer)})
		c := p.start(x, "a", security(criContainer, object{}), "sleep", "1000")
		kill(x, k.pid(x, p.id))
		x.eventually("the sandbox is not ready", func() bool {
			return strings.Contains(k.try(x, "PodSandboxStatus", object{"podSandboxId": p.id}).out, "SANDBOX_NOTREADY")
		})
		// Its containers go on.
		if got := c.exec(x, "hostname"); got != "pausekilled" {
			x.Errorf("hostname %q; want pausekilled", got)
		}
		if got := c.exec(x, "ip", "address"); !strings.Contains(got, k.subnet+".") {
			x.Errorf("addresses %q; want one of %s.0/24", got, k.subnet)
		}
	}},
	{name: "restart", do: func(x *try, k *kubelet) {
		p := k.run(x, "restart", nil)
		c := p.start(x, "a", nil, "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.02; done")
		gone := p.start(x, "b", nil, "sh", "-c", "read line </proc/1/cmdline; sleep 1000")
		x.must(k.stop(unix.SIGKILL))
		kill(x, k.pid(x, gone.id))
		k.start(x, k.ready())
		if s := c.status(x); s.State != "CONTAINER_RUNNING" {
			x.Errorf("status %+v after containerd's restart; want running", s)
		}
		if s := gone.awaitExit(x); s.ExitCode != 137 {
			x.Errorf("status %+v of what was killed meanwhile; want 137", s)
		}
		if got := c.exec(x, "echo", "hi"); got != "hi" {
			x.Errorf("echo: %q; want hi", got)
		}
		c.stop(x, 30)
		if s := c.status(x); s.ExitCode != 5 {
			x.Errorf("status %+v after stop; want 5", s)
		}
	}},
	{name: "shim-killed", runcFails: "its delete --force, right after the shim's end, can leave the state of the sandbox", do: func(x *try, k *kubelet) {
		p := k.run(x, "shimkilled", nil)
		c := p.start(x, "a", nil, "sleep", "1000")
		first := k.pid(x, c.id)
		// The shim, of all containers of the pod, is the parent of their first
		// processes. containerd calls delete --force when it is gone.
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", first))
		x.must(err)
		var shim int
		_, err = fmt.Sscanf(string(b[strings.LastIndexByte(string(b), ')')+1:]), " %1s %d", new(string), &shim)
		x.must(err)
		kill(x, shim)
		if s := c.awaitExit(x); s.ExitCode != 255 {
			x.Errorf("status %+v; want 255, for nobody knows how it ended", s)
		}
		x.eventually("the end of the container's process", func() bool { return !alive(first) })
		p.remove(x)
		for _, id := range []string{p.id, c.id} {
			x.eventually("the end of the container's state", func() bool {
				_, err := os.Lstat("/run/containerd/runc/" + criNamespace + "/" + id)
				return errors.Is(err, fs.ErrNotExist)
			})
		}
	}},
}
