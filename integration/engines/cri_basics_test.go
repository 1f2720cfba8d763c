package engines

import (
	"strings"
)

var criBasics = []operation[*kubelet]{
	{name: "version", do: func(x *try, k *kubelet) {
		var v struct{ RuntimeName, RuntimeAPIVersion string }
		k.call(x, "Version", nil, &v)
		if v.RuntimeName != "containerd" || v.RuntimeAPIVersion != "v1" {
			x.Errorf("Version: %+v; want containerd, v1", v)
		}
	}},
	{name: "status", do: func(x *try, k *kubelet) {
		x.eventually("the runtime and the network are ready", func() bool {
			return strings.Count(k.try(x, "Status", nil).out, `"status":true`) == 2
		})
	}},
	{name: "runp", do: func(x *try, k *kubelet) {
		p := k.run(x, "runp", nil)
		var s struct {
			Status struct {
				State, RuntimeHandler string
				Network               struct{ IP string }
			}
		}
		k.call(x, "PodSandboxStatus", object{"podSandboxId": p.id}, &s)
		if s.Status.State != "SANDBOX_READY" || !strings.HasPrefix(s.Status.Network.IP, k.subnet+".") {
			x.Errorf("PodSandboxStatus: %+v; want it ready, with an address of %s.0/24", s, k.subnet)
		}
		if pods := k.try(x, "ListPodSandbox", nil); !strings.Contains(pods.out, p.id) {
			x.Errorf("ListPodSandbox: %s; want %s in it", pods.out, p.id)
		}
		p.remove(x)
		if pods := k.try(x, "ListPodSandbox", nil); strings.Contains(pods.out, p.id) {
			x.Errorf("ListPodSandbox: %s; want no %s in it", pods.out, p.id)
		}
	}},
	{name: "start-stop", do: func(x *try, k *kubelet) {
		p := k.run(x, "stop", nil)
		c := p.create(x, "a", nil, "sh", "-c", "trap 'echo term; exit 5' TERM; echo up; echo oops >&2; while :; do sleep 0.02; done")
		if s := c.status(x); s.State != "CONTAINER_CREATED" {
			x.Errorf("status %+v after create; want created", s)
		}
		k.call(x, "StartContainer", object{"containerId": c.id}, nil)
		if s := c.status(x); s.State != "CONTAINER_RUNNING" {
			x.Errorf("status %+v after start; want running", s)
		}
		x.eventually("the trap", func() bool { return strings.Contains(c.log(x), "oops") })
		c.stop(x, 30)
		if s := c.status(x); s.State != "CONTAINER_EXITED" || s.ExitCode != 5 || s.Reason != "Error" {
			x.Errorf("status %+v after stop; want exited, 5, Error", s)
		}
		for _, want := range []string{"stdout: up\n", "stderr: oops\n", "stdout: term\n"} {
			if got := c.log(x); !strings.Contains(got, want) {
				x.Errorf("log %q; want %q in it", got, want)
			}
		}
		k.call(x, "RemoveContainer", object{"containerId": c.id}, nil)
		if ps := k.try(x, "ListContainers", nil); strings.Contains(ps.out, c.id) {
			x.Errorf("ListContainers: %s; want no %s in it", ps.out, c.id)
		}
	}},
	{name: "stop-kill", do: func(x *try, k *kubelet) {
		p := k.run(x, "kill", nil)
		c := p.start(x, "a", nil, "sh", "-c", "trap '' TERM; echo up; sleep 1000 & wait")
		x.eventually("the trap", func() bool { return strings.Contains(c.log(x), "up") })
		c.stop(x, 1)
		if s := c.status(x); s.ExitCode != 137 {
			x.Errorf("status %+v after the grace period; want exit code 137", s)
		}
	}},
	{name: "exit-codes", do: func(x *try, k *kubelet) {
		p := k.run(x, "exit", nil)
		for _, want := range []criStatus{{Reason: "Completed"}, {Reason: "Error", ExitCode: 7}} {
			want.State = "CONTAINER_EXITED"
			c := p.start(x, want.Reason, nil, "sh", "-c", "exit "+string(rune('0'+want.ExitCode)))
			if got := c.awaitExit(x); got != want {
				x.Errorf("status %+v; want %+v", got, want)
			}
		}
	}},
	{name: "start-no-such-command", do: func(x *try, k *kubelet) {
		p := k.run(x, "none", nil)
		c := p.create(x, "a", nil, "nosuch")
		r := k.try(x, "StartContainer", object{"containerId": c.id})
		const want = `exec: "nosuch": executable file not found in $PATH`
		if r.code == 0 || !strings.Contains(r.stderr, want) {
			x.Errorf("%s; want an error with %s", r, want)
		}
		if s := c.status(x); s.ExitCode != 128 || s.Reason != "StartError" || !strings.Contains(s.Message, want) {
			x.Errorf("status %+v; want 128, StartError, %s", s, want)
		}
	}},
	{name: "exec", do: func(x *try, k *kubelet) {
		p := k.run(x, "exec", nil)
		c := p.start(x, "a", nil, "sleep", "1000")
		out, stderr, code, failed := c.tryExec(x, "sh", "-c", "echo out; echo err >&2; exit 3")
		if out != "out" || stderr != "err" || code != 3 || failed != "" {
			x.Errorf("exec: %q, %q, %d, %s; want out, err, 3", out, stderr, code, failed)
		}
		const want = `exec: "nosuch": executable file not found in $PATH`
		if _, _, _, failed := c.tryExec(x, "nosuch"); !strings.Contains(failed, want) {
			x.Errorf("exec of no such command: %q; want %s", failed, want)
		}
		// The answer comes at the end of the time, and the process is gone.
		r := k.try(x, "ExecSync", object{"containerId": c.id, "cmd": []string{"sleep", "999"}, "timeout": 1})
		if r.code == 0 || !strings.Contains(r.stderr, "DeadlineExceeded") {
			x.Errorf("%s; want that it exceeds the deadline", r)
		}
		if got := c.exec(x, "ps"); strings.Contains(got, "999") {
			x.Errorf("ps: %q; want no sleep 999", got)
		}
	}},
	{name: "exec-stopped", do: func(x *try, k *kubelet) {
		p := k.run(x, "execstopped", nil)
		c := p.start(x, "a", nil, "true")
		c.awaitExit(x)
		if _, _, _, failed := c.tryExec(x, "true"); failed == "" {
			x.Errorf("exec in a container that has ended works; want an error")
		}
	}},
	{name: "tty", do: func(x *try, k *kubelet) {
		p := k.run(x, "tty", nil)
		c := p.start(x, "a", object{"tty": true}, "tty")
		if s := c.awaitExit(x); s.ExitCode != 0 {
			x.Errorf("status %+v: %s; want a terminal", s, c.log(x))
		}
	}},
}
