package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// TestPodUserNamespace: root in the pod is somebody else on the host, and owns
// what is the pod's.
func TestPodUserNamespace(t *testing.T) {
	w := newWorld(t)
	const first = 100000
	mappings := list{object{"containerID": 0, "hostID": first, "size": 65536}}
	host := filepath.Join(w.dir, "host")
	if err := os.Mkdir(host, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(host, "file"), "")
	override := func(s *specs.Spec) { addCaps(s, "CAP_DAC_OVERRIDE") }
	dir := w.podOf(t, bundle.Pod{
		"share":         list{"net", "ipc", "uts", "pid"},
		"userNamespace": object{"uidMappings": mappings, "gidMappings": mappings},
		"volumes": list{
			object{"name": "disk", "emptyDir": object{}},
			object{"name": "memory", "emptyDir": object{"medium": "Memory"}},
			object{"name": "host", "hostPath": object{"path": host}},
		},
		"sysctls": object{"net.ipv4.ip_forward": "1", "kernel.shmmax": "65536"},
	}, bundle.Container{Name: "a", Spec: w.serve("p", "a", override), Member: object{"volumeMounts": list{
		object{"name": "disk", "mountPath": "/disk"}, object{"name": "memory", "mountPath": "/memory"}, object{"name": "host", "mountPath": "/host"},
	}}}, bundle.Container{Name: "b"})
	for _, name := range []string{"a", "b"} {
		if err := bundle.Chown(filepath.Join(dir, "containers", name, "rootfs"), first, first); err != nil {
			t.Fatal(err)
		}
	}
	w.start(t, dir)
	a, b := w.agent(t, "p", "a"), w.agent(t, "p", "b")

	info := w.inspect(t, "p")
	as, bs := a.namespaces(t), b.namespaces(t)
	if as["user"] != bs["user"] || as["user"] == ownNamespace(t, "user") {
		t.Errorf("user namespaces %s and %s, the host's %s; want one of the pod's own", as["user"], bs["user"], ownNamespace(t, "user"))
	}
	for _, kind := range []string{"net", "ipc", "uts", "pid"} {
		a.want(t, as["user"], "ns-owner", kind)
	}
	for _, file := range []string{"uid_map", "gid_map"} {
		if got := strings.Join(strings.Fields(a.ask(t, "read", "/proc/self/"+file)), " "); got != "0 100000 65536" {
			t.Errorf("%s: %q; want 0 100000 65536", file, got)
		}
	}
	for _, pid := range []int{info.container(t, "a").PID, info.Init.PID} {
		if got := owner(t, filepath.Join("/proc", strconv.Itoa(pid))); got != first {
			// An undumpable process's files are the host's root's: look at its status.
			if status := readFile(t, filepath.Join("/proc", strconv.Itoa(pid), "status")); !strings.Contains(status, "Uid:\t100000\t100000") {
				t.Errorf("process %d on the host: %s; want uid %d", pid, status, first)
			}
		}
	}

	for _, dir := range []string{"/disk", "/memory", "/dev/shm"} {
		a.ask(t, "write", dir+"/x", "usable")
		a.want(t, "usable", "read", dir+"/x")
	}
	b.want(t, "usable", "read", "/dev/shm/x")
	a.want(t, "p", "read", "/etc/hostname")
	a.want(t, "1", "read", "/proc/sys/net/ipv4/ip_forward")
	a.want(t, "65536", "read", "/proc/sys/kernel/shmmax")
	a.ask(t, "sem-set", "5", "42")
	b.want(t, "42", "sem-get", "5")
	a.stay(t, "listen", "127.0.0.1:80", "from a") // CAP_NET_BIND_SERVICE over the pod's network
	b.want(t, "from a", "dial", "127.0.0.1:80")

	// The host's files stay those of the host's root, whatever a root may do in
	// the pod.
	a.refused(t, "EACCES", "write", "/host/x", "")
	a.refused(t, "EACCES", "open-write", "/host/file")

	w.ok(t, "pod", "stop", "-t", "0", "p")
	for _, name := range []string{"a", "b"} {
		w.forget("p", name)
	}
	w.ok(t, "pod", "start", "p")
	w.agent(t, "p", "b").want(t, "42", "sem-get", "5")
}

func owner(t *testing.T, path string) int {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return int(st.Uid)
}
