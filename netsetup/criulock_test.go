package netsetup

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestUnlock takes CRIU's rules away, as a dump and a restore in the same
// namespace leave them, and no others.
func TestUnlock(t *testing.T) {
	rung.Privileged(t)
	if _, err := exec.LookPath("iptables-restore"); err != nil {
		t.Skip(err)
	}
	ns := make(chan *os.File)
	end := make(chan struct{})
	go func() {
		runtime.LockOSThread() // and never unlocked
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			t.Error(err)
		}
		ns <- f
		<-end
	}()
	f := <-ns
	defer close(end)
	defer f.Close()
	path := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	in := func(stdin string, argv ...string) string {
		t.Helper()
		cmd := exec.Command("nsenter", append([]string{"--net=/proc/self/fd/3"}, argv...)...)
		cmd.ExtraFiles = []*os.File{f}
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", argv, err, out)
		}
		return string(out)
	}
	if err := Unlock(path); err != nil {
		t.Errorf("Unlock without a lock: %v", err)
	}
	if v4 := in("", "iptables-save"); strings.Contains(v4, "CRIU") {
		t.Errorf("rules after Unlock without a lock:\n%s\nwant none of CRIU's", v4)
	}
	const lock = "*filter\n:CRIU - [0:0]\n-I INPUT -j CRIU\n-I OUTPUT -j CRIU\n-A CRIU -m mark --mark 0xC114 -j ACCEPT\n-A CRIU -j DROP\nCOMMIT\n"
	in("*filter\n-A INPUT -s 192.0.2.1 -j DROP\nCOMMIT\n", "iptables-restore", "--noflush")
	in(lock, "iptables-restore", "--noflush")
	in(lock, "iptables-restore", "--noflush")
	in(lock, "ip6tables-restore", "--noflush")
	if err := Unlock(path); err != nil {
		t.Errorf("Unlock: %v", err)
	}
	v4, v6 := in("", "iptables-save"), in("", "ip6tables-save")
	if strings.Contains(v4+v6, "CRIU") || !strings.Contains(v4, "-s 192.0.2.1") {
		t.Errorf("rules after Unlock:\n%s%s\nwant the one that is not CRIU's", v4, v6)
	}

	// A chain that is in use elsewhere can only be emptied.
	in(lock+"*filter\n-A FORWARD -j CRIU\nCOMMIT\n", "iptables-restore", "--noflush")
	if err := Unlock(path); err == nil {
		t.Error("Unlock = nil; want an error, for the chain is in use")
	}
	if v4 := in("", "iptables-save"); strings.Contains(v4, "-A CRIU") {
		t.Errorf("rules after Unlock:\n%s\nwant an empty chain", v4)
	}
}
