package nsenter

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// variants are the ways through sandbox.c: with and without a user namespace
// and a pod init.
func variants() map[string]Config {
	plain := []Kind{Cgroup, IPC, UTS, Net, Time}
	return map[string]Config{
		"plain":    {Kinds: slices.Clone(plain)},
		"pid":      {Kinds: append(slices.Clone(plain), PID)},
		"user":     mapped(Config{Kinds: slices.Clone(plain)}),
		"user+pid": mapped(Config{Kinds: append(slices.Clone(plain), PID)}),
		"init":     {Kinds: []Kind{PID}},
		"net":      {Kinds: []Kind{Net}},
	}
}

// nsenter returns a command inside the pins, by nsenter(1).
func nsenterCmd(t testing.TB, pins []Pin, args ...string) *exec.Cmd {
	t.Helper()
	var flags []string
	for _, p := range pins {
		flags = append(flags, "--"+string(p.Kind)+"="+p.Path)
	}
	return exec.Command(lookPath(t, "nsenter"), append(append(flags, "--"), args...)...)
}

func output(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v: %s", cmd.Args, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Each kind is pinned, is new, is what the result says, and can be joined.
func TestCreatePins(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			cfg.PinDir = pinDir(t)
			res := mustCreate(t, cfg)

			if len(res.Pins) != len(cfg.Kinds) {
				t.Fatalf("pins %v; want one for each of %v", res.Pins, cfg.Kinds)
			}
			var script []string
			want := ""
			for _, p := range res.Pins {
				if err := p.Verify(); err != nil {
					t.Error(err)
				}
				if p.Path != filepath.Join(cfg.PinDir, string(p.Kind)) {
					t.Errorf("%s pin at %s; want it in %s by its name", p.Kind, p.Path, cfg.PinDir)
				}
				if p.Ino == nsInode(t, os.Getpid(), string(p.Kind)) {
					t.Errorf("%s pin is the caller's namespace", p.Kind)
				}
				script = append(script, "stat -L -c %i /proc/self/ns/"+string(p.Kind))
				want += strconv.FormatUint(p.Ino, 10) + "\n"
			}
			got := output(t, nsenterCmd(t, res.Pins, "sh", "-c", strings.Join(script, "; ")))
			if got != strings.TrimSpace(want) {
				t.Errorf("a process that joined is in\n%s; want\n%s", got, want)
			}
			if (res.InitPID > 0) != cfg.has(PID) {
				t.Errorf("InitPID = %d", res.InitPID)
			}
		})
	}
}

// With a user namespace the others are owned by it; without, by the caller's.
func TestCreateOwner(t *testing.T) {
	for name, cfg := range variants() {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			cfg.PinDir = pinDir(t)
			res := mustCreate(t, cfg)
			owner := nsInode(t, os.Getpid(), "user")
			if cfg.has(User) {
				owner = pinOf(t, res, User).Ino
			}
			for _, p := range res.Pins {
				if p.Kind == User {
					continue
				}
				f, err := p.Open()
				if err != nil {
					t.Fatal(err)
				}
				fd, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
				if err != nil {
					t.Fatalf("NS_GET_USERNS of %s: %v", p.Kind, err)
				}
				var st unix.Stat_t
				if err := unix.Fstat(fd, &st); err != nil {
					t.Fatal(err)
				}
				unix.Close(fd)
				f.Close()
				if st.Ino != owner {
					t.Errorf("%s namespace is owned by user namespace %d; want %d", p.Kind, st.Ino, owner)
				}
			}
		})
	}
}

// Inside a user namespace its maps are as asked, its root can do what root
// does there, and the message queues are its own.
func TestCreateUser(t *testing.T) {
	for _, name := range []string{"user", "user+pid"} {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			cfg := variants()[name]
			cfg.PinDir = pinDir(t)
			cfg.UIDMappings = append(cfg.UIDMappings, IDMap{65536, 300000, 10})
			res := mustCreate(t, cfg)
			got := output(t, nsenterCmd(t, res.Pins, "unshare", "-m", "sh", "-c",
				`id -u; id -G; tr -s ' ' </proc/self/uid_map; tr -s ' ' </proc/self/gid_map;
				mount -t mqueue mqueue /mnt && stat -c %u:%g /mnt; hostname renamed; hostname; ip addr add 127.0.0.2/8 dev lo && echo ok`))
			want := "0\n0\n 0 100000 65536\n 65536 300000 10\n 0 200000 65536\n0:0\nrenamed\nok"
			if got != want {
				t.Errorf("inside the user namespace:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestCreateSettings(t *testing.T) {
	for name, cfg := range variants() {
		if !cfg.has(UTS) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			cfg.PinDir = pinDir(t)
			cfg.Hostname, cfg.Domainname = "pod-1", "example.org"
			cfg.TimeOffsets = map[string]TimeOffset{"boottime": {Secs: 1_000_000}, "monotonic": {Secs: 2_000_000, Nanosecs: 5}}
			cfg.Sysctls = map[string]string{
				"net.ipv4.ip_forward":                "1",
				"net.ipv4.conf.all.accept_redirects": "1", // set back by ip_forward
				"net.ipv4.ip_local_port_range":       "20000 30000",
				"net/ipv4/ip_local_reserved_ports":   "29999,20001,20000",
				"net.ipv4.ping_group_range":          "0 100",
				"net.ipv4.tcp_keepalive_time":        "0x10",
				"net.ipv4.route.flush":               "1", // only written
				"net.ipv6.conf.default.accept_ra":    "0",
				"kernel.shmmni":                      "100",
				"kernel.shm_rmid_forced":             "1",
				"kernel.msgmax":                      "9000",
				"kernel.sem":                         " 32000  1024000000 500\t32000 ",
				"fs.mqueue.msg_max":                  "20",
			}
			hostname, err := os.Hostname()
			if err != nil {
				t.Fatal(err)
			}
			shmmni, err := readFile("/proc/sys/kernel/shmmni")
			if err != nil {
				t.Fatal(err)
			}
			res := mustCreate(t, cfg)

			pins := slices.DeleteFunc(slices.Clone(res.Pins), func(p Pin) bool { return p.Kind == User })
			groups := "0\t100"
			if cfg.has(User) {
				groups = "200000\t200100" // as seen from out here
			}
			for path, want := range map[string]string{
				"kernel/hostname":                    "pod-1",
				"kernel/domainname":                  "example.org",
				"net/ipv4/ip_forward":                "1",
				"net/ipv4/conf/all/accept_redirects": "1",
				"net/ipv4/ip_local_port_range":       "20000\t30000",
				"net/ipv4/ip_local_reserved_ports":   "20000-20001,29999",
				"net/ipv4/ping_group_range":          groups,
				"net/ipv4/tcp_keepalive_time":        "16",
				"kernel/shmmni":                      "100",
				"kernel/shm_rmid_forced":             "1",
				"kernel/msgmax":                      "9000",
				"kernel/sem":                         "32000\t1024000000\t500\t32000",
				"fs/mqueue/msg_max":                  "20",
			} {
				inside(t, pins, func() error {
					got, err := readFile("/proc/sys/" + path)
					if err == nil && got != want {
						err = fmt.Errorf("%s is %q; want %q", path, got, want)
					}
					return err
				})
			}
			uptime := output(t, nsenterCmd(t, res.Pins, "cut", "-d.", "-f1", "/proc/uptime"))
			if n, err := strconv.Atoi(uptime); err != nil || n < 1_000_000 {
				t.Errorf("uptime inside is %s; want a million seconds more", uptime)
			}
			if got, err := os.Hostname(); err != nil || got != hostname {
				t.Errorf("the caller's hostname is now %q, %v; want %q", got, err, hostname)
			}
			if got, err := readFile("/proc/sys/kernel/shmmni"); err != nil || got != shmmni {
				t.Errorf("the caller's kernel.shmmni is now %q, %v; want %q", got, err, shmmni)
			}
		})
	}
}

// lo is up, has both addresses, and works; nothing else is there.
func TestCreateLoopback(t *testing.T) {
	rung.Privileged(t)
	cfg := Config{Kinds: []Kind{Net}, PinDir: pinDir(t)}
	res := mustCreate(t, cfg)
	inside(t, res.Pins, func() error {
		addrs, err := net.InterfaceAddrs()
		if err != nil {
			return err
		}
		if got := fmt.Sprint(addrs); got != "[127.0.0.1/8 ::1/128]" {
			t.Errorf("addresses %s; want [127.0.0.1/8 ::1/128]", got)
		}
		for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return err
			}
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			c.Close()
			l.Close()
		}
		return nil
	})
}

// Many at once, in one process.
func TestCreateParallel(t *testing.T) {
	rung.Privileged(t)
	const n = 20
	dirs := make([]string, n)
	results := make([]*Result, n)
	var wg sync.WaitGroup
	for i := range n {
		dirs[i] = pinDir(t)
		wg.Go(func() {
			cfg := Config{Kinds: []Kind{IPC, UTS, Net}, PinDir: dirs[i], Hostname: "pod-" + strconv.Itoa(i)}
			if i%2 == 0 {
				cfg.Kinds = append(cfg.Kinds, PID)
			}
			if i%3 == 0 {
				cfg = mapped(cfg)
			}
			res, err := Create(cfg)
			if err != nil {
				t.Errorf("Create %d: %v", i, err)
				return
			}
			results[i] = res
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for i, res := range results {
		if res == nil {
			continue
		}
		for _, p := range res.Pins {
			if seen[p.Ino] {
				t.Errorf("two sandboxes share the %s namespace %d", p.Kind, p.Ino)
			}
			seen[p.Ino] = true
		}
		inside(t, []Pin{pinOf(t, res, UTS)}, func() error {
			got, err := readFile("/proc/sys/kernel/hostname")
			if want := "pod-" + strconv.Itoa(i); err == nil && got != want {
				err = fmt.Errorf("hostname %q; want %q", got, want)
			}
			return err
		})
		tearDown(t, dirs[i], res)
	}
}
