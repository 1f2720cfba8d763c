package nsenter

import (
	"reflect"
	"strings"
	"testing"
)

func TestSysctlPath(t *testing.T) {
	for _, c := range []struct{ name, want, err string }{
		{name: "net.ipv4.ip_forward", want: "net/ipv4/ip_forward"},
		{name: "net/ipv4/ip_forward", want: "net/ipv4/ip_forward"},
		// The separator that comes first is one, the other is a character.
		{name: "net.ipv4.conf.eth0/100.forwarding", want: "net/ipv4/conf/eth0.100/forwarding"},
		{name: "net/ipv4/conf/eth0.100/forwarding", want: "net/ipv4/conf/eth0.100/forwarding"},
		{name: "kernel.sem", want: "kernel/sem"},
		{name: "", err: "empty component"},
		{name: "net..ipv4", err: "empty component"},
		{name: ".net", err: "empty component"},
		{name: "/net/ipv4", err: "empty component"},
		{name: "net.ipv4.", err: "empty component"},
		{name: "net/../kernel/core_pattern", err: `component ".."`},
		{name: "net.//.kernel.core_pattern", err: `component ".."`},
		{name: "net/./ipv4", err: `component "."`},
		{name: "net/ipv4\x00/x", err: "not a name"},
	} {
		got, err := sysctlPath(c.name)
		if got != c.want || !matches(err, c.err) {
			t.Errorf("sysctlPath(%q) = %q, %v; want %q, %q", c.name, got, err, c.want, c.err)
		}
	}
}

// matches tells whether err is of that text, or nil where that is empty.
func matches(err error, text string) bool {
	if text == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), text)
}

func TestValidateSysctls(t *testing.T) {
	const elsewhere = "does not belong to a namespace of a pod"
	for _, c := range []struct {
		name             string
		hostNet, hostIPC bool
		err              string
	}{
		{name: "net.core.somaxconn"},
		{name: "net.core.somaxconn", hostIPC: true},
		{name: "net.core.somaxconn", hostNet: true, err: "network namespace, and the pod uses the host's"},
		{name: "net/ipv4/ip_forward", hostNet: true, err: "network namespace"},
		{name: "kernel.shmmax"},
		{name: "kernel.shm_rmid_forced", hostNet: true},
		{name: "kernel.msgmni"},
		{name: "kernel.sem"},
		{name: "fs.mqueue.msg_max"},
		{name: "kernel.shmmax", hostIPC: true, err: "IPC namespace, and the pod uses the host's"},
		{name: "kernel/sem", hostIPC: true, err: "IPC namespace"},
		{name: "fs.mqueue.msg_max", hostIPC: true, err: "IPC namespace"},
		{name: "kernel.hostname", err: `set the pod's hostname instead`},
		{name: "kernel/domainname", err: `set the pod's domainname instead`},
		{name: "net", err: elsewhere},
		{name: "network.x", err: elsewhere},
		{name: "kernel.shm/x", err: ""}, // a name with a dot in it
		{name: "kernel/shm/x", err: elsewhere},
		{name: "kernel.semaphores", err: elsewhere},
		{name: "kernel.core_pattern", err: elsewhere},
		{name: "kernel.pid_max", err: elsewhere},
		{name: "vm.swappiness", err: elsewhere},
		{name: "fs.file-max", err: elsewhere},
		{name: "fs.mqueue", err: elsewhere},
		{name: "net/../kernel/core_pattern", err: `component ".."`},
	} {
		err := ValidateSysctls(map[string]string{c.name: "1"}, c.hostNet, c.hostIPC)
		if !matches(err, c.err) {
			t.Errorf("ValidateSysctls(%q, %v, %v) = %v; want %q", c.name, c.hostNet, c.hostIPC, err, c.err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), `sysctl "`+c.name+`"`) {
			t.Errorf("ValidateSysctls(%q) = %v; want it to begin with the name", c.name, err)
		}
	}
	for value, want := range map[string]string{
		"":                        "empty value",
		" \n":                     "empty value",
		"1\n2":                    "not one line",
		"1\x00":                   "not one line",
		strings.Repeat("1", 4096): "4096 bytes, at most 4095",
		strings.Repeat("1", 4095): "",
		" 4096 87380 6291456\n":   "",
	} {
		if err := ValidateSysctls(map[string]string{"net.x": value}, false, false); !matches(err, want) {
			t.Errorf("ValidateSysctls(net.x=%.20q) = %v; want %q", value, err, want)
		}
	}
	err := ValidateSysctls(map[string]string{"net.a.b": "1", "net/a/b": "1"}, false, false)
	if !matches(err, `sysctl "net/a/b" is also given as "net.a.b"`) && !matches(err, `sysctl "net.a.b" is also given as "net/a/b"`) {
		t.Errorf("ValidateSysctls of one setting by two names = %v; want an error", err)
	}
	if err := ValidateSysctls(nil, true, true); err != nil {
		t.Errorf("ValidateSysctls(nil) = %v; want nil", err)
	}
}

func TestSysctlsOrder(t *testing.T) {
	settings, err := sysctls(map[string]string{
		"net.ipv4.conf.eth0.rp_filter":     "2",
		"net.ipv4.conf.all.rp_filter":      "1",
		"net.ipv4.ip_forward":              "1",
		"net.ipv6.conf.all.forwarding":     "1",
		"kernel.shmmax":                    " 1 ",
		"fs.mqueue.msg_max":                "10",
		"net.ipv4.ip_local_reserved_ports": "9000,8081,8080-8083",
	}, false, false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range settings {
		got = append(got, s.path+"="+s.value)
	}
	want := []string{
		"net/ipv4/ip_forward=1", // sets others back, so first
		"net/ipv6/conf/all/forwarding=1",
		"fs/mqueue/msg_max=10",
		"kernel/shmmax=1",
		"net/ipv4/conf/all/rp_filter=1",
		"net/ipv4/conf/eth0/rp_filter=2",
		"net/ipv4/ip_local_reserved_ports=8080-8083,9000",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sysctls = %q; want %q", got, want)
	}
}

func TestFoldPorts(t *testing.T) {
	for in, want := range map[string]string{
		"8080":               "8080",
		"8081,8080":          "8080-8081",
		"8080-8082,8081":     "8080-8082",
		"1,3,5-6,7":          "1,3,5-7",
		"65535,65534":        "65534-65535",
		"8080-8080":          "8080",
		"1-100,50-60,101":    "1-101",
		"65536":              "65536", // for the kernel to refuse
		"9-8":                "9-8",
		"a,b":                "a,b",
		"8080, 8081":         "8080, 8081",
		"32768-60999,1-1024": "1-1024,32768-60999",
	} {
		if got := foldPorts(in); got != want {
			t.Errorf("foldPorts(%q) = %q; want %q", in, got, want)
		}
	}
}
