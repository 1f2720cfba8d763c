package nsenter

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// Whatever step fails, the error says which, and nothing is left. The configs
// here are such that Go cannot know; those it can are in config_test.go, and
// go past it to the sandbox process here.
func TestCreateFails(t *testing.T) {
	for _, c := range []struct {
		what    string
		kinds   []Kind
		prepare func(t *testing.T, cfg *Config)
		want    Error
		detail  string // in the error's
		only    string // for which variants
	}{
		{
			what:    "no pin directory",
			prepare: func(t *testing.T, cfg *Config) { cfg.PinDir = filepath.Join(cfg.PinDir, "none") },
			want:    Error{Step: "open pin directory", Errno: syscall.ENOENT},
		},
		{
			what: "pin directory is a link",
			prepare: func(t *testing.T, cfg *Config) {
				link := filepath.Join(t.TempDir(), "link")
				if err := os.Symlink(cfg.PinDir, link); err != nil {
					t.Fatal(err)
				}
				cfg.PinDir = link
			},
			want: Error{Step: "open pin directory", Errno: syscall.ENOTDIR},
		},
		{
			what: "unwritable pin directory",
			prepare: func(t *testing.T, cfg *Config) {
				if err := unix.Mount("ro", cfg.PinDir, "tmpfs", unix.MS_RDONLY, ""); err != nil {
					t.Fatal(err)
				}
				dir := cfg.PinDir
				t.Cleanup(func() {
					if err := unix.Unmount(dir, 0); err != nil {
						t.Error(err)
					}
				})
			},
			want: Error{Step: "make pin", Errno: syscall.EROFS},
		},
		{
			what:    "no sysctl of that name",
			prepare: func(t *testing.T, cfg *Config) { cfg.Sysctls = map[string]string{"net.foo": "1"} },
			want:    Error{Step: "write sysctl", Object: "net.foo", Errno: syscall.ENOENT},
		},
		{
			what: "second sysctl bad",
			prepare: func(t *testing.T, cfg *Config) {
				cfg.Sysctls = map[string]string{"kernel.shmmni": "7", "net/ipv4/tcp_fin_timeout": "soon"}
			},
			want: Error{Step: "write sysctl", Object: "net/ipv4/tcp_fin_timeout", Errno: syscall.EINVAL},
		},
		{
			what: "read-only sysctl",
			prepare: func(t *testing.T, cfg *Config) {
				cfg.Sysctls = map[string]string{"net.ipv4.conf.all.mc_forwarding": "x"}
			},
			want: Error{Step: "write sysctl", Object: "net.ipv4.conf.all.mc_forwarding", Errno: syscall.EACCES},
		},
		{
			what: "sysctl with too many numbers",
			prepare: func(t *testing.T, cfg *Config) {
				cfg.Sysctls = map[string]string{"net.ipv4.ip_local_port_range": "20000 30000 7"}
			},
			want:   Error{Step: "write sysctl", Object: "net.ipv4.ip_local_port_range"},
			detail: `of "20000 30000 7"`,
		},
		{
			what: "sysctls that contradict each other",
			prepare: func(t *testing.T, cfg *Config) {
				cfg.Sysctls = map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.forwarding": "0"}
			},
			want:   Error{Step: "read back sysctl"},
			detail: `", got "`,
		},
		{
			what:    "sysctl path out of /proc/sys",
			prepare: func(t *testing.T, cfg *Config) { cfg.Sysctls = map[string]string{"raw:../self/comm": "x"} },
			want:    Error{Step: "write sysctl", Object: "raw:../self/comm", Errno: syscall.EXDEV},
		},
		{
			what:    "sysctl is a directory",
			prepare: func(t *testing.T, cfg *Config) { cfg.Sysctls = map[string]string{"net.ipv4": "x"} },
			want:    Error{Step: "write sysctl", Object: "net.ipv4", Errno: syscall.EISDIR},
		},
		{
			what:    "hostname too long",
			prepare: func(t *testing.T, cfg *Config) { cfg.Hostname = strings.Repeat("h", 65) },
			want:    Error{Step: "set hostname", Object: strings.Repeat("h", 65), Errno: syscall.EINVAL},
		},
		{
			what:    "domainname too long",
			prepare: func(t *testing.T, cfg *Config) { cfg.Domainname = strings.Repeat("d", 65) },
			want:    Error{Step: "set domainname", Object: strings.Repeat("d", 65), Errno: syscall.EINVAL},
		},
		{
			what: "time offset out of range",
			prepare: func(t *testing.T, cfg *Config) {
				cfg.TimeOffsets = map[string]TimeOffset{"boottime": {Secs: -1 << 60}}
			},
			want: Error{Step: "write offsets of namespace", Object: "time", Errno: syscall.ERANGE},
		},
		{
			what:    "maps that overlap",
			prepare: func(t *testing.T, cfg *Config) { cfg.UIDMappings = append(cfg.UIDMappings, cfg.UIDMappings[0]) },
			want:    Error{Step: "write uid map of namespace", Object: "user", Errno: syscall.EINVAL},
			only:    "user",
		},
		{
			what:    "maps without root",
			prepare: func(t *testing.T, cfg *Config) { cfg.UIDMappings = []IDMap{{1, 100000, 10}} },
			want:    Error{Step: "become uid 0 in namespace", Object: "user", Errno: syscall.EINVAL},
			only:    "user",
		},
		{
			what: "cgroup that was removed",
			prepare: func(t *testing.T, cfg *Config) {
				path := "/sys/fs/cgroup/nsenter-gone"
				if err := os.Mkdir(path, 0o755); err != nil {
					t.Fatal(err)
				}
				cfg.Cgroup = openDir(t, path)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			},
			want: Error{Step: "start sandbox process in cgroup", Object: "/sys/fs/cgroup/nsenter-gone", Errno: syscall.ENOENT},
		},
		{
			what:    "cgroup that is none",
			prepare: func(t *testing.T, cfg *Config) { cfg.InitCgroup = openDir(t, "/tmp") },
			want:    Error{Step: "fork", Object: "pod init", Errno: syscall.EBADF},
			only:    "pid",
		},
		{
			what: "executable that is none",
			prepare: func(t *testing.T, cfg *Config) {
				f, err := os.Open("/dev/null")
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() })
				cfg.Exe = f
			},
			want: Error{Step: "start", Object: "sandbox process", Errno: syscall.EACCES},
		},
	} {
		for name, cfg := range variants() {
			if !cfg.has(UTS) || !strings.Contains(name, c.only) {
				continue
			}
			t.Run(c.what+"/"+name, func(t *testing.T) {
				rung.Privileged(t)
				dir := pinDir(t)
				cfg.PinDir = dir
				c.prepare(t, &cfg)
				_, err := createUnchecked(&cfg)
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("Create = %v; want an *Error", err)
				}
				if e.Step != c.want.Step || e.Errno != c.want.Errno ||
					c.want.Object != "" && e.Object != c.want.Object || !strings.Contains(e.Detail, c.detail) ||
					c.detail == "" && e.Detail != "" {
					t.Errorf("Create = %#v (%v); want %#v with detail %q", e, e, c.want, c.detail)
				}
				wantEmpty(t, dir)
			})
		}
	}
}

// createUnchecked is Create without the checks before it. A sysctl "raw:PATH"
// is written by that path, which sysctlPath would refuse.
func createUnchecked(cfg *Config) (*Result, error) {
	var raw []setting
	for name, value := range cfg.Sysctls {
		if path, ok := strings.CutPrefix(name, "raw:"); ok {
			raw = append(raw, setting{name, path, value})
			delete(cfg.Sysctls, name)
		}
	}
	settings, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	return create(cfg, append(settings, raw...))
}

// A pin file that exists is refused, whatever it is, and stays; others that
// were made already are taken back.
func TestCreatePinExists(t *testing.T) {
	for what, prepare := range map[string]func(path string) error{
		"file":          func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
		"link":          func(path string) error { return os.Symlink("/etc/passwd", path) },
		"dangling link": func(path string) error { return os.Symlink("/nowhere/x", path) },
		"directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"fifo":          func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		t.Run(what, func(t *testing.T) {
			rung.Privileged(t)
			cfg := Config{Kinds: []Kind{IPC, UTS, Net}, PinDir: pinDir(t)}
			path := filepath.Join(cfg.PinDir, "uts")
			if err := prepare(path); err != nil {
				t.Fatal(err)
			}
			_, err := Create(cfg)
			var e *Error
			if !errors.As(err, &e) || e.Step != "make pin" || e.Object != path || !errors.Is(err, os.ErrExist) {
				t.Errorf("Create = %v; want make pin %q: file exists", err, path)
			}
			entries, err := os.ReadDir(cfg.PinDir)
			if err != nil || len(entries) != 1 || entries[0].Name() != "uts" {
				t.Errorf("the directory holds %v, %v; want the file that was there", entries, err)
			}
		})
	}
	t.Run("pin", func(t *testing.T) {
		rung.Privileged(t)
		cfg := Config{Kinds: []Kind{UTS}, PinDir: pinDir(t)}
		res := mustCreate(t, cfg)
		if _, err := Create(cfg); !errors.Is(err, os.ErrExist) {
			t.Errorf("second Create = %v; want it refused", err)
		}
		if err := res.Pins[0].Verify(); err != nil {
			t.Errorf("after a second Create: %v", err)
		}
	})
}

// The limits of namespaces are errors that name the kind. They are set in a
// user namespace, where they are nobody else's; so Create works in one, too.
func TestCreateLimit(t *testing.T) {
	for _, name := range []string{"pid", "user+pid"} {
		cfg := variants()[name]
		for _, kind := range append([]Kind{""}, cfg.Kinds...) {
			t.Run(string(kind)+"/"+name, func(t *testing.T) {
				rung.Privileged(t)
				dir := pinDir(t)
				cmd := exec.Command("/proc/self/exe", string(kind), name, dir)
				cmd.Env = []string{helperEnv + "=limit"}
				everyone := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1 << 30}}
				cmd.SysProcAttr = &syscall.SysProcAttr{
					Cloneflags:                 unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
					UidMappings:                everyone,
					GidMappings:                everyone,
					GidMappingsEnableSetgroups: true,
				}
				want := ""
				if kind != "" {
					want = (&Error{Step: "unshare", Object: string(kind), Errno: unix.ENOSPC}).Error()
				}
				if got := output(t, cmd); got != want {
					t.Errorf("Create = %s; want %s", got, want)
				}
				wantEmpty(t, dir)
			})
		}
	}
}

// limitHelper creates a sandbox with a limit of 0, and prints the error.
func limitHelper(kind, variant, dir string) error {
	cfg := variants()[variant]
	cfg.PinDir = dir
	if kind != "" {
		if err := os.WriteFile("/proc/sys/user/max_"+kind+"_namespaces", []byte("0"), 0); err != nil {
			return err
		}
	}
	res, err := Create(cfg)
	if err != nil {
		_, err = os.Stdout.WriteString(err.Error())
		return err
	}
	// The pod init goes, the pins go with this mount namespace; the files stay.
	err = unix.PidfdSendSignal(int(res.InitPidFD.Fd()), unix.SIGKILL, nil, 0)
	return errors.Join(err, Unpin(dir))
}

// What is mounted at /proc is not believed.
func TestCreateHostileProc(t *testing.T) {
	for _, c := range []struct {
		what, source, target, fstype string
		flags                        uintptr
		want                         string
	}{
		{"tmpfs", "x", "/proc", "tmpfs", 0, `check "/proc": not the root of a procfs`},
		{"directory of procfs", "/proc/self", "/proc", "", unix.MS_BIND, `check "/proc": not the root of a procfs`},
		{"over /proc/sys", "x", "/proc/sys", "tmpfs", 0, `open "/proc/sys": invalid cross-device link (something is mounted over it)`},
		{"over sysctls", "/dev", "/proc/sys/kernel", "", unix.MS_BIND, `write sysctl "kernel.shmmni": invalid cross-device link (something is mounted over it)`},
	} {
		t.Run(c.what, func(t *testing.T) {
			rung.Privileged(t)
			cfg := Config{Kinds: []Kind{IPC, UTS}, PinDir: pinDir(t), Sysctls: map[string]string{"kernel.shmmni": "7"}}
			inside(t, nil, func() error {
				if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
					return err
				}
				if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
					return err
				}
				// Once it is executed, by /proc/self/exe.
				var lied error
				defer atExec(func(pid int) {
					lied = errors.Join(
						unix.Mount(c.source, c.target, c.fstype, c.flags, ""),
						unix.PtraceDetach(pid))
				})()
				_, err := Create(cfg)
				if err == nil || err.Error() != c.want {
					t.Errorf("Create = %v; want %s", err, c.want)
				}
				return lied
			})
			wantEmpty(t, cfg.PinDir)
		})
	}
}
