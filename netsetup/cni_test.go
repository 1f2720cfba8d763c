package netsetup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// script makes an executable file.
func script(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCNIProgram(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+"/path")
	podrt := script(t, dir+"/usr/sbin/podrt", "")
	beside := script(t, dir+"/beside/podrt-cni", "")
	script(t, dir+"/beside/podrt", "")
	libexec := script(t, dir+"/usr/libexec/podrt/podrt-cni", "")
	alone := script(t, dir+"/alone/podrt", "")
	plain := dir + "/plain"
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(podrt, dir+"/runc"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, env, exe, argv0, want, err string }{
		{"variable", beside, podrt, podrt, beside, ""},
		{"variable without a file", dir + "/none", podrt, podrt, "", "$PODRT_CNI: stat " + dir + "/none: no such file"},
		{"variable without a program", plain, podrt, podrt, "", "$PODRT_CNI: execute " + plain + ": permission denied"},
		{"variable with a directory", dir, podrt, podrt, "", "$PODRT_CNI: execute " + dir + ": permission denied"},
		{"beside", "", dir + "/beside/podrt", "podrt", beside, ""},
		{"libexec of the prefix", "", podrt, "podrt", libexec, ""},
		{"sealed copy", "", "/memfd:runc_cloned:/proc/self/exe (deleted)", podrt, libexec, ""},
		{"sealed copy by another name", "", "/memfd:x (deleted)", dir + "/runc", libexec, ""},
		{"replaced", "", podrt + " (deleted)", podrt, libexec, ""},
		{"nothing known", "", "", "", "", `not at ["/usr/local/libexec/podrt/podrt-cni" "/usr/libexec/podrt/podrt-cni"], nor in PATH; $PODRT_CNI`},
		{"nowhere", "", alone, "podrt", "", `networks of CNI need the program podrt-cni, which is not at ["` + dir + `/alone/podrt-cni" "` + dir + `/libexec/podrt/podrt-cni" "/usr/local/`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := cniProgram.find(tt.env, tt.exe, tt.argv0)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q, %v; want %q, %q", got, err, tt.want, tt.err)
			}
		})
	}
	inPath := script(t, dir+"/path/podrt-cni", "")
	if got, err := cniProgram.find("", alone, "podrt"); err != nil || got != inPath {
		t.Errorf("in PATH: %q, %v; want %q", got, err, inPath)
	}
}

func TestCNIAttachCheck(t *testing.T) {
	good := CNIAttach{
		UID: "u1", Name: "web", Namespace: "", Netns: "/run/ns", Network: "net", MAC: "02:00:00:00:00:01",
		IPs:   []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::2")},
		Ports: []Port{{HostPort: 1, ContainerPort: 2, Protocol: SCTP}},
	}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		change func(*CNIAttach)
		want   string
	}{
		{func(a *CNIAttach) { a.UID = "a/b" }, `pod UID "a/b" is not valid`},
		{func(a *CNIAttach) { a.UID = "" }, `pod UID "" is not valid`},
		{func(a *CNIAttach) { a.Network = "../net" }, `CNI network "../net": a name must match`},
		{func(a *CNIAttach) { a.Network = strings.Repeat("n", 101) }, `a name must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}`},
		{func(a *CNIAttach) { a.Name = "a;K8S_POD_UID=b" }, `name "a;K8S_POD_UID=b" of the pod cannot be told`},
		{func(a *CNIAttach) { a.Namespace = "a\nb" }, `namespace "a\nb" of the pod cannot be told`},
		{func(a *CNIAttach) { a.Netns = "run/ns" }, `network namespace "run/ns" of pod "u1" is not an absolute path`},
		{func(a *CNIAttach) { a.IPs = []netip.Addr{{}} }, `ips[0]: "invalid IP" is not the address of one interface`},
		{func(a *CNIAttach) { a.IPs = []netip.Addr{netip.MustParseAddr("fe80::1%eth0")} }, `ips[0]: "fe80::1%eth0" is not`},
		{func(a *CNIAttach) { a.IPs = []netip.Addr{netip.MustParseAddr("ff02::1")} }, `ips[0]: "ff02::1" is not`},
		{func(a *CNIAttach) { a.MAC = "01:00:5e:00:00:01" }, `mac "01:00:5e:00:00:01" is not the address of one Ethernet interface`},
		{func(a *CNIAttach) { a.MAC = "02:00" }, `mac "02:00" is not`},
		{func(a *CNIAttach) { a.Ports[0].Protocol = "icmp" }, `ports[0]: protocol "icmp" is not tcp, udp or sctp`},
		{func(a *CNIAttach) { a.Ports[0].ContainerPort = 0 }, `ports[0]: container port 0: want 1 to 65535`},
		{func(a *CNIAttach) { a.Ports[0].HostPort = 0 }, `ports[0]: container port 2/sctp has no host port`},
		{func(a *CNIAttach) { a.Ports[0].HostIP = netip.MustParseAddr("fe80::1%eth0") }, `ports[0]: host address fe80::1%eth0 has a zone`},
		{func(a *CNIAttach) { a.DNS.Servers = []string{"one"} }, `dns.servers[0] "one" is not an IP address`},
	} {
		a := good
		a.Ports = slices.Clone(good.Ports)
		tt.change(&a)
		if err := a.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v; want %q", err, tt.want)
		}
	}
}

func TestCNIEnviron(t *testing.T) {
	got := cniEnviron([]string{"A=1", "NOTIFY_SOCKET=x", "LISTEN_FDS=1", "CNI_ARGS=x", "_LIBCONTAINER_INITPIPE=3", "PODRT_CNI_POD=other", "PATH="}, "u1")
	want := []string{"A=1", "PATH=", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PODRT_CNI_POD=u1"}
	if !slices.Equal(got, want) {
		t.Errorf("environment %q; want %q", got, want)
	}
	if got := cniEnviron([]string{"PATH=/bin"}, ""); !slices.Equal(got, []string{"PATH=/bin"}) {
		t.Errorf("environment %q", got)
	}
}

// What podrt-cni says, and does not.
func TestCNIAnswers(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, text, want string
		is               error
	}{
		{"error", `echo '{"error":"no such thing","kinds":["not-exist","newer"]}'`, "no such thing", fs.ErrNotExist},
		{"unsupported", `echo '{"error":"cannot","kinds":["unsupported"]}'`, "cannot", errors.ErrUnsupported},
		{"timeout", `echo '{"error":"late","kinds":["timeout"]}'`, "late", context.DeadlineExceeded},
		{"nothing", "exit 0", `find: unexpected end of JSON input`, nil},
		{"rubbish", "echo rubbish", `invalid character 'r'`, nil},
		{"dies", "echo last words >&2; exit 7", `find: exit status 7: "last words"`, nil},
		{"killed", "kill -9 $$", `find: signal: killed`, nil},
		{"not whole", "echo '{}'", "podrt-cni find: the answer is not whole", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &CNI{Program: script(t, filepath.Join(dir, tt.name, "podrt-cni"), tt.text)}
			_, err := c.Find(context.Background(), "net")
			if err == nil || !strings.Contains(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v; want %q, %v", err, tt.want, tt.is)
			}
		})
	}
	c := &CNI{Program: dir + "/none"}
	if _, err := c.List(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the program: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.Program = "/bin/true"
	if _, err := c.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of ctx: %v", err)
	}
}

// podrt-cni is told to stop, and what it says of that is not lost.
func TestCNIStopped(t *testing.T) {
	dir := t.TempDir()
	fifo := dir + "/fifo"
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"error", `{"error":"taken back"}`, "context canceled\ntaken back"},
		{"success", `{}`, "<nil>"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &CNI{Program: script(t, filepath.Join(dir, tt.name), fmt.Sprintf("sleep 60 >/dev/null 2>&1 &\ntrap 'echo '\\''%s'\\''; kill $!; exit 0' TERM\necho >%s\nwait", tt.text, fifo))}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() {
				_, _ = os.ReadFile(fifo)
				cancel()
			}()
			if _, err := c.List(ctx); fmt.Sprint(err) != tt.want {
				t.Errorf("error %v; want %s", err, tt.want)
			}
		})
	}
}

// An error goes from podrt-cni to podrt as what it is.
func TestCNIAnswerError(t *testing.T) {
	var a CNIAnswer
	a.SetError(fmt.Errorf("a: %w", errors.Join(errors.New("b"), context.DeadlineExceeded, fs.ErrNotExist)))
	err := a.err()
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) || !strings.HasPrefix(err.Error(), "a: b\n") {
		t.Errorf("error %v", err)
	}
}

// Nothing is executed for a pod that is in no network.
func TestCNIDelNothing(t *testing.T) {
	dir := t.TempDir()
	for _, cache := range []string{dir, dir + "/none"} {
		c := &CNI{Program: "/none", CacheDir: cache}
		if err := c.Del(context.Background(), "u1"); err != nil {
			t.Error(err)
		}
		if err := c.GC(context.Background(), func(string) bool { return false }); err != nil {
			t.Error(err)
		}
		if err := c.Check(context.Background(), "u1"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Check: %v", err)
		}
	}
	c := &CNI{Program: "/none", CacheDir: dir}
	if err := c.Del(context.Background(), "../u1"); err == nil {
		t.Error("Del of a path succeeded")
	}
}

// GC takes away what live does not know, and asks only about what is a pod's.
func TestCNIGC(t *testing.T) {
	dir := t.TempDir()
	program := script(t, dir+"/podrt-cni", `cat >>"`+dir+`/requests"; echo >>"`+dir+`/requests"; echo '{}'`)
	c := &CNI{Program: program, CacheDir: dir + "/cache"}
	if err := os.MkdirAll(dir+"/cache/pods", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"u1", "u2", ".hidden"} {
		if err := os.Mkdir(filepath.Join(dir, "cache/pods", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var asked []string
	err := c.GC(context.Background(), func(uid string) bool {
		asked = append(asked, uid)
		return uid == "u1"
	}, "net")
	if err != nil {
		t.Error(err)
	}
	// Of what is to go it asks once more, when nobody can add it.
	if want := []string{"u1", "u2", "u2"}; !slices.Equal(asked, want) {
		t.Errorf("asked about %q; want %q", asked, want)
	}
	requests, err := os.ReadFile(dir + "/requests")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(requests)), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"op":"del"`) || !strings.Contains(lines[0], `"uid":"u2"`) || !strings.Contains(lines[1], `"op":"gc"`) || !strings.Contains(lines[1], `"network":"net"`) {
		t.Errorf("requests %q; want del of u2 and gc of net", lines)
	}
}

// A pod that is made again, with its UID, while what it was before is taken away:
// nothing of the new one is, and its addition comes after.
func TestCNIMadeAgain(t *testing.T) {
	dir := t.TempDir()
	c := slowDel(t, dir)
	pod := dir + "/cache/pods/u1"
	asked := 0
	err := c.GC(t.Context(), func(string) bool { asked++; return asked > 1 })
	if err != nil || done(t, dir) != "" {
		t.Errorf("GC of a pod that came meanwhile: %v, %q", err, done(t, dir))
	}
	besideGC(t, dir, c, func() error {
		_, _, err := c.Add(t.Context(), CNIAttach{UID: "u1", Name: "a", Netns: "/n", Network: "net"})
		return err
	})
	if want := "del begins\ndel ends\nadd\n"; done(t, dir) != want {
		t.Errorf("%q; want %q", done(t, dir), want)
	}
	if _, err := os.Stat(pod); err != nil {
		t.Error(err) // of the new one
	}
}

// A pod is taken out of its network once, when a collection of garbage is at it.
func TestCNIDelOnce(t *testing.T) {
	dir := t.TempDir()
	c := slowDel(t, dir)
	besideGC(t, dir, c, func() error { return c.Del(t.Context(), "u1") })
	if want := "del begins\ndel ends\n"; done(t, dir) != want {
		t.Errorf("%q; want %q", done(t, dir), want)
	}
}

// slowDel returns CNI that knows pod u1, with a podrt-cni which says what it does
// in the file done of dir, and waits for a line of the FIFO go before a DEL ends.
func slowDel(t *testing.T, dir string) *CNI {
	t.Helper()
	program := script(t, dir+"/podrt-cni", `
read request
case $request in
*'"op":"del"'*)
	echo del begins >>"`+dir+`/done"
	read line <"`+dir+`/go"
	rm -r "`+dir+`/cache/pods/u1"
	echo del ends >>"`+dir+`/done"
	echo '{}' ;;
*)
	echo add >>"`+dir+`/done"
	echo '{"interface": {"network": "net"}}' ;;
esac`)
	if err := unix.Mkfifo(dir+"/go", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/cache/pods/u1", 0o700); err != nil {
		t.Fatal(err)
	}
	return &CNI{Program: program, CacheDir: dir + "/cache"}
}

func done(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(dir + "/done")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// besideGC calls f while slowDel's CNI collects garbage, which ends when f waits
// for it, or has had podrt-cni executed.
func besideGC(t *testing.T, dir string, c *CNI, f func() error) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dir+"/cache/pods/u1", &st); err != nil {
		t.Fatal(err)
	}
	collected, called := make(chan error, 1), make(chan error, 1)
	go func() { collected <- c.GC(t.Context(), func(string) bool { return false }) }()
	begins := "del begins\n"
	for done(t, dir) == "" {
		time.Sleep(time.Millisecond)
	}
	go func() { called <- f() }()
	// In the queue for the lock, or, were there none, executed.
	waiter := regexp.MustCompile(`-> FLOCK .*:` + strconv.FormatUint(st.Ino, 10) + ` `)
	for done(t, dir) == begins {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		if waiter.Match(locks) {
			break
		}
		time.Sleep(time.Millisecond)
	}
	// Each DEL that waits reads a line.
	if err := os.WriteFile(dir+"/go", []byte("\n\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(<-collected, <-called); err != nil {
		t.Error(err)
	}
}

// An addition that fails, and has taken back all when its directory is another's
// already, leaves that one. What is no directory is no pod's.
func TestCNIOthersDirectory(t *testing.T) {
	dir := t.TempDir()
	pod := dir + "/cache/pods/u1"
	program := script(t, dir+"/podrt-cni", `rmdir "`+pod+`"; mkdir "`+pod+`"; echo '{"error":"no luck"}'`)
	c := &CNI{Program: program, CacheDir: dir + "/cache"}
	a := CNIAttach{UID: "u1", Name: "a", Netns: "/n", Network: "net"}
	if _, _, err := c.Add(t.Context(), a); err == nil || !strings.Contains(err.Error(), "no luck") {
		t.Errorf("Add: %v; want no luck", err)
	}
	if err := os.Remove(pod); err != nil {
		t.Errorf("the other's directory: %v", err)
	}
	for name, leave := range map[string]func() error{
		"symlink": func() error { return os.Symlink(dir, pod) },
		"FIFO":    func() error { return unix.Mkfifo(pod, 0o600) },
	} {
		if err := leave(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 2)
		go func() {
			_, _, err := c.Add(t.Context(), a)
			ended <- err
			ended <- c.GC(t.Context(), func(string) bool { return false })
		}()
		for range cap(ended) {
			select {
			case err := <-ended:
				if !errors.Is(err, unix.ENOTDIR) || !strings.Contains(err.Error(), pod) {
					t.Errorf("%s: %v; want not a directory", name, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: no end", name)
			}
		}
		if err := os.Remove(pod); err != nil {
			t.Fatal(err)
		}
	}
}
