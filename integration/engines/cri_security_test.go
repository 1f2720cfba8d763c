package engines

import (
	"strings"
)

// statusLine is the value of a line in /proc/self/status of a process in the
// container.
func (c *container) statusLine(x *try, key string) string {
	line := c.exec(x, "grep", "^"+key+":", "/proc/self/status")
	return strings.TrimSpace(strings.TrimPrefix(line, key+":"))
}

var criSecurity = []operation[*kubelet]{
	{name: "restricted", do: func(x *try, k *kubelet) {
		p := k.run(x, "restricted", nil)
		c := p.start(x, "a", security(criContainer, object{
			"runAsUser":          object{"value": 1234},
			"runAsGroup":         object{"value": 5678},
			"supplementalGroups": []int{42},
			"readonlyRootfs":     true,
			"noNewPrivs":         true,
			"seccomp":            object{"profileType": "RuntimeDefault"},
			"capabilities":       object{"dropCapabilities": []string{"ALL"}},
			"maskedPaths":        []string{"/proc/kcore", "/proc/timer_list"},
			"readonlyPaths":      []string{"/proc/sys"},
		}), "sleep", "1000")
		for key, want := range map[string]string{
			"Uid":        "1234\t1234\t1234\t1234",
			"Gid":        "5678\t5678\t5678\t5678",
			"Groups":     "42 5678",
			"NoNewPrivs": "1",
			"Seccomp":    "2",
			"CapEff":     "0000000000000000",
			"CapBnd":     "0000000000000000",
		} {
			if got := c.statusLine(x, key); got != want {
				x.Errorf("%s of an exec: %q; want %q", key, got, want)
			}
		}
		if _, stderr, code, _ := c.tryExec(x, "touch", "/new"); code == 0 || !strings.Contains(stderr, "Read-only file system") {
			x.Errorf("touch /new: %q, exit code %d; want a read-only root", stderr, code)
		}
		if got := c.exec(x, "cat", "/proc/timer_list"); got != "" {
			x.Errorf("/proc/timer_list: %q; want it masked", got)
		}
	}},
	{name: "capabilities", do: func(x *try, k *kubelet) {
		p := k.run(x, "caps", nil)
		c := p.start(x, "a", security(criContainer, object{
			"capabilities": object{"dropCapabilities": []string{"ALL"}, "addCapabilities": []string{"NET_RAW", "CHOWN"}},
		}), "sleep", "1000")
		// CAP_CHOWN is bit 0, CAP_NET_RAW bit 13.
		if got := c.statusLine(x, "CapEff"); got != "0000000000002001" {
			x.Errorf("CapEff %s; want CHOWN and NET_RAW", got)
		}
	}},
	{name: "privileged", do: func(x *try, k *kubelet) {
		sandbox := namespaces(criContainer)
		sandbox["privileged"] = true
		p := k.run(x, "privileged", object{"securityContext": sandbox})
		c := p.start(x, "a", security(criContainer, object{"privileged": true}), "sleep", "1000")
		c.exec(x, "sh", "-c", "mkdir /mnt && mount -t tmpfs none /mnt && umount /mnt")
		c.exec(x, "test", "-c", "/dev/kmsg")
	}},
	{name: "no-such-user", do: func(x *try, k *kubelet) {
		p := k.run(x, "nouser", nil)
		r := k.try(x, "CreateContainer", object{"podSandboxId": p.id, "sandboxConfig": p.config, "config": object{
			"metadata": object{"name": "a"},
			"image":    object{"image": containerdImage},
			"command":  []string{"true"},
			"linux":    object{"securityContext": object{"runAsUsername": "nosuch"}},
		}})
		if r.code == 0 {
			x.Errorf("%s; want an error", r)
		}
	}},
}
