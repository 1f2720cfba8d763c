package rung

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// leaks are the ways to leave something behind. Each returns how to undo it
// and a word of the line that the check must print.
var leaks = []struct {
	name string
	make func(t *testing.T) (want string, undo func())
}{
	{"mount", func(t *testing.T) (string, func()) {
		dir := t.TempDir()
		must(t, unix.Mount("podrt-leak", dir, "tmpfs", 0, ""))
		return "+ mount " + dir, func() { must(t, unix.Unmount(dir, 0)) }
	}},
	{"mount flags", func(t *testing.T) (string, func()) {
		must(t, unix.Mount("", "/dev/shm", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""))
		return "- mount /dev/shm", func() {
			must(t, unix.Mount("", "/dev/shm", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NODEV, ""))
		}
	}},
	{"mount propagation", func(t *testing.T) (string, func()) {
		before, after := uintptr(unix.MS_PRIVATE), uintptr(unix.MS_SHARED)
		if Current() == VM {
			before, after = after, before
		}
		must(t, unix.Mount("", "/dev/shm", "", after, ""))
		return "- mount /dev/shm", func() { must(t, unix.Mount("", "/dev/shm", "", before, "")) }
	}},
	{"cgroup", func(t *testing.T) (string, func()) {
		dir := cgroupMount + "/leak"
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.Mkdir(dir+"/leaf", 0o755))
		return "+ cgroup " + dir + "/leaf", func() {
			must(t, unix.Rmdir(dir+"/leaf"))
			must(t, unix.Rmdir(dir))
		}
	}},
	{"link", func(t *testing.T) (string, func()) {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "leak0"}, PeerName: "leak1"}
		must(t, netlink.LinkAdd(link))
		return "+ link leak0: veth", func() { must(t, netlink.LinkDel(link)) }
	}},
	{"link down", func(t *testing.T) (string, func()) {
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		must(t, netlink.LinkSetDown(lo))
		return "+ link lo: device up=false", func() { must(t, netlink.LinkSetUp(lo)) }
	}},
	{"address", func(t *testing.T) (string, func()) {
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		addr, err := netlink.ParseAddr("127.7.7.7/32")
		must(t, err)
		must(t, netlink.AddrAdd(lo, addr))
		return "+ address 127.7.7.7/32 on lo", func() { must(t, netlink.AddrDel(lo, addr)) }
	}},
	{"route", func(t *testing.T) (string, func()) {
		route := loopbackRoute(t, "192.0.2.0/24")
		must(t, netlink.RouteAdd(route))
		return "+ route 192.0.2.0/24 via <nil> on lo, table 254", func() { must(t, netlink.RouteDel(route)) }
	}},
	{"IPv6 route of another table", func(t *testing.T) (string, func()) {
		route := loopbackRoute(t, "2001:db8::/64")
		route.Table = 1000
		must(t, netlink.RouteAdd(route))
		return "+ route 2001:db8::/64 via <nil> on lo, table 1000", func() { must(t, netlink.RouteDel(route)) }
	}},
	{"neighbour", func(t *testing.T) (string, func()) {
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		n := &netlink.Neigh{LinkIndex: lo.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.ParseIP("2001:db8::9"), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9}}
		must(t, netlink.NeighAdd(n))
		return "+ neighbour 2001:db8::9 at 02:00:00:00:00:09 on lo", func() { must(t, netlink.NeighDel(n)) }
	}},
	{"qdisc", func(t *testing.T) (string, func()) {
		lo, err := netlink.LinkByName("lo")
		must(t, err)
		q := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: lo.Attrs().Index, Parent: netlink.HANDLE_INGRESS}}
		must(t, netlink.QdiscAdd(q))
		return "+ qdisc ingress on lo", func() { must(t, netlink.QdiscDel(q)) }
	}},
	{"nft table", func(t *testing.T) (string, func()) {
		nftTable(t, unix.NFT_MSG_NEWTABLE, "podrt-leak")
		return "+ nft table podrt-leak", func() { nftTable(t, unix.NFT_MSG_DELTABLE, "podrt-leak") }
	}},
	{"process", func(t *testing.T) (string, func()) {
		cmd := sleeper(t, 0)
		return fmt.Sprintf("+ process pid %d (sleep)", cmd.Process.Pid), func() { kill(t, cmd) }
	}},
	{"zombie", func(t *testing.T) (string, func()) {
		cmd := sleeper(t, 0)
		must(t, cmd.Process.Kill())
		// Returns when it has ended, and leaves it unreaped.
		var info unix.Siginfo
		must(t, unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil))
		return fmt.Sprintf("+ process pid %d (sleep) state Z", cmd.Process.Pid), func() { _ = cmd.Wait() }
	}},
	{"namespace of a process", func(t *testing.T) (string, func()) {
		cmd := sleeper(t, unix.CLONE_NEWNET)
		return fmt.Sprintf("held by pid %d (sleep)", cmd.Process.Pid), func() { kill(t, cmd) }
	}},
	{"namespace of a thread", func(t *testing.T) (string, func()) {
		name, end := make(chan string), make(chan struct{})
		go func() {
			// Never unlocked: the thread ends with the goroutine.
			runtime.LockOSThread()
			if err := unix.Unshare(unix.CLONE_NEWUTS); err != nil {
				t.Error(os.NewSyscallError("unshare", err))
			}
			ns, _ := os.Readlink("/proc/thread-self/ns/uts")
			name <- ns
			<-end
		}()
		return "+ namespace " + <-name, func() { close(end) }
	}},
	{"namespace of a mount", func(t *testing.T) (string, func()) {
		cmd := sleeper(t, unix.CLONE_NEWIPC)
		ns := fmt.Sprintf("/proc/%d/ns/ipc", cmd.Process.Pid)
		name, err := os.Readlink(ns)
		must(t, err)
		pin := filepath.Join(t.TempDir(), "ipc")
		must(t, os.WriteFile(pin, nil, 0o600))
		must(t, unix.Mount(ns, pin, "", unix.MS_BIND, ""))
		kill(t, cmd)
		return "+ namespace " + name + " held by the mount at " + pin, func() { must(t, unix.Unmount(pin, 0)) }
	}},
	{"namespace of a descriptor", func(t *testing.T) (string, func()) {
		cmd := sleeper(t, unix.CLONE_NEWNET)
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid))
		must(t, err)
		kill(t, cmd)
		return fmt.Sprintf("held by fd %d of pid %d", f.Fd(), os.Getpid()), func() { must(t, f.Close()) }
	}},
	{"descriptor", func(t *testing.T) (string, func()) {
		f, err := os.Open("/etc/passwd")
		must(t, err)
		return fmt.Sprintf("+ fd %d -> /etc/passwd", f.Fd()), func() { must(t, f.Close()) }
	}},
	{"descriptor for children", func(t *testing.T) (string, func()) {
		fd, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0) // no O_CLOEXEC: that is the leak
		must(t, err)
		return fmt.Sprintf("+ fd %d -> /etc/passwd (not close-on-exec)", fd), func() { must(t, unix.Close(fd)) }
	}},
}

// TestLeaks leaks on purpose and looks whether the check sees it, and whether
// it is content again once the leak is undone.
func TestLeaks(t *testing.T) {
	Privileged(t)
	for _, leak := range leaks {
		t.Run(leak.name, func(t *testing.T) {
			before, err := Take()
			must(t, err)
			want, undo := leak.make(t)
			left := before.Settle(0)
			undo()
			if !strings.Contains(left, want) {
				t.Errorf("Settle = %q; want a line with %q", left, want)
			}
			if left := before.Settle(settleTime); left != "" {
				t.Errorf("after the undo: Settle = %q; want nothing", left)
			}
		})
	}
}

// TestSettleWaits takes an orphan that ends by itself while Settle waits.
func TestSettleWaits(t *testing.T) {
	Privileged(t)
	before, err := Take()
	must(t, err)
	cmd := exec.Command("sleep", "0.3")
	must(t, cmd.Start())
	reaped := make(chan error, 1)
	go func() { reaped <- cmd.Wait() }()
	if left := before.Settle(settleTime); left != "" {
		t.Errorf("Settle = %q; want nothing", left)
	}
	must(t, <-reaped)
}

// TestElementLeaks leaks an element of a set that was there, and one of a map.
func TestElementLeaks(t *testing.T) {
	Privileged(t)
	nft := func(script string) {
		t.Helper()
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("nft: %v: %s\n%s", err, out, script)
		}
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip(err)
	}
	nft("table inet leak {\n set s { type ipv4_addr; elements = { 192.0.2.1 } }\n map m { type inet_service : ipv4_addr; }\n}\n")
	defer nft("delete table inet leak\n")
	for _, c := range []struct{ element, want string }{
		{"s { 192.0.2.2 }", "+ nft element leak s 08000100c0000202"},
		{"m { 80 : 192.0.2.2 }", "+ nft element leak m 060001000050"},
	} {
		before, err := Take()
		must(t, err)
		nft("add element inet leak " + c.element + "\n")
		if left := before.Settle(0); !strings.Contains(left, c.want) || strings.Count(left, "\n") != 1 {
			t.Errorf("Settle = %q; want a line with %q", left, c.want)
		}
		nft("delete element inet leak " + c.element + "\n")
		if left := before.Settle(settleTime); left != "" {
			t.Errorf("after the undo: Settle = %q; want nothing", left)
		}
	}
}

// loopbackRoute is a route to a network by way of lo.
func loopbackRoute(t *testing.T, network string) *netlink.Route {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	_, dst, err := net.ParseCIDR(network)
	must(t, err)
	return &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst}
}

const leakEnv = "PODRT_TEST_LEAK"

// TestLeaky leaks what its environment says; [TestPrivilegedFails] runs it.
func TestLeaky(t *testing.T) {
	path := os.Getenv(leakEnv)
	if path == "" {
		t.Skip("for TestPrivilegedFails")
	}
	Privileged(t)
	Watch(t, filepath.Dir(path))
	must(t, os.Mkdir(path, 0o755))
	must(t, unix.Mount("podrt-leak", path, "tmpfs", 0, ""))
}

// TestPrivilegedFails runs a test that leaks a file and a mount in a process
// of its own, and wants it to fail and to say why.
func TestPrivilegedFails(t *testing.T) {
	Privileged(t)
	path := filepath.Join(t.TempDir(), "leak")
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLeaky$", "-test.v")
	cmd.Env = append(os.Environ(), leakEnv+"="+path, leakFastEnv+"=1")
	out, err := cmd.CombinedOutput()
	must(t, unix.Unmount(path, 0))
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the leaky test: %v; want exit code 1", err)
	}
	for _, want := range []string{
		"+ mount " + path + ": / of tmpfs podrt-leak",
		"+ file " + path,
		"--- FAIL: TestLeaky",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the leaky test's output lacks %q:\n%s", want, out)
		}
	}
}

// leakFastEnv spares [TestPrivilegedFails] the wait for a leak that stays.
const leakFastEnv = "PODRT_TEST_LEAK_FAST"

func TestMain(m *testing.M) {
	if os.Getenv(leakFastEnv) != "" {
		settleTime = 50 * time.Millisecond
	}
	os.Exit(m.Run())
}

func TestWatchSeesNoChange(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/kept", nil, 0o600))
	t.Run("equal", func(t *testing.T) {
		Watch(t, dir, dir+"/missing")
		must(t, os.WriteFile(dir+"/gone", nil, 0o600))
		must(t, os.Remove(dir+"/gone"))
	})
}

func sleeper(t *testing.T, cloneFlags uintptr) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: cloneFlags, Pdeathsig: unix.SIGKILL}
	must(t, cmd.Start())
	return cmd
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	must(t, cmd.Process.Kill())
	_ = cmd.Wait()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nftTable sends one request about the inet table name, in the batch that
// nf_tables wants changes in.
func nftTable(t *testing.T, msg uint16, name string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))

	attr := append([]byte(name), 0)
	attr = append(binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, uint16(4+len(attr))), unix.NFTA_TABLE_NAME), attr...)
	for len(attr)%4 != 0 {
		attr = append(attr, 0)
	}
	message := func(typ, flags uint16, family byte, res uint16, payload []byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+4+len(payload)))
		b = binary.NativeEndian.AppendUint16(b, typ)
		b = binary.NativeEndian.AppendUint16(b, flags|unix.NLM_F_REQUEST)
		b = binary.NativeEndian.AppendUint32(b, 1) // sequence
		b = binary.NativeEndian.AppendUint32(b, 0) // port
		b = append(b, family, unix.NFNETLINK_V0)
		b = binary.BigEndian.AppendUint16(b, res)
		return append(b, payload...)
	}
	const subsys = unix.NFNL_SUBSYS_NFTABLES
	batch := message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, subsys, nil)
	batch = append(batch, message(subsys<<8|msg, unix.NLM_F_ACK|unix.NLM_F_CREATE, unix.NFPROTO_INET, 0, attr)...)
	batch = append(batch, message(unix.NFNL_MSG_BATCH_END, 0, 0, subsys, nil)...)
	must(t, unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))

	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	must(t, err)
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		t.Fatalf("nf_tables answers %x; want an acknowledgement", answer[:n])
	}
	if errno := -int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		t.Fatalf("nf_tables request %d for table %q: %v", msg, name, unix.Errno(errno))
	}
}
