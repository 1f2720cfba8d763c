package contract

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// provocations are real ways into each code of the log's JSON line. Each
// returns what the last call came to.
var provocations = map[string]func(*session) result{
	"container-not-found": func(s *session) result { return s.quiet("state", "c1") },
	"container-exists": func(s *session) result {
		s.ok("create", "c1")
		defer s.ok("delete", "-f", "c1")
		return s.quiet("create", "c1")
	},
	"container-not-running": func(s *session) result {
		s.ok("create", "c1")
		s.ok("kill", "c1", "9")
		s.awaitStatus("stopped")
		defer s.ok("delete", "c1")
		return s.quiet("kill", "c1", "9")
	},
	"container-running": func(s *session) result {
		s.ok("run", "-d", "c1")
		defer s.ok("delete", "-f", "c1")
		return s.quiet("delete", "c1")
	},
	"container-paused": func(s *session) result {
		s.ok("run", "-d", "c1")
		s.ok("pause", "c1")
		defer s.ok("delete", "-f", "c1")
		return s.quiet("exec", "c1", "true")
	},
	"container-not-paused": func(s *session) result {
		s.ok("run", "-d", "c1")
		defer s.ok("delete", "-f", "c1")
		return s.quiet("resume", "c1")
	},
	"pod-not-found": func(s *session) result { return s.pods("pod", "start", "p") },
	"pod-exists": func(s *session) result {
		s.pods("pod", "create", "p")
		defer s.pods("pod", "rm", "p")
		return s.pods("pod", "create", "p")
	},
	"pod-running": func(s *session) result {
		s.pods("pod", "create", "p")
		s.pods("run", "-d", "--pod", "p", "c1")
		defer s.pods("pod", "rm", "-f", "p")
		return s.pods("pod", "rm", "p")
	},
	"invalid-id":    func(s *session) result { return s.quiet("create", "a/b") },
	"invalid-usage": func(s *session) result { return s.quiet("create", "--nope") },
	"invalid-json": func(s *session) result {
		s.write("bundle/config.json", "{")
		return s.quiet("create", "c1")
	},
	"not-executable": func(s *session) result { return s.createOf("/etc/plain") },
	"not-found":      func(s *session) result { return s.createOf("/nonexistent") },
	"permission-denied": func(s *session) result {
		for dir := s.dir; dir != "/run"; dir = filepath.Dir(dir) { // TMPDIR of the rung is in it
			info, err := os.Stat(dir)
			s.must(err)
			s.must(os.Chmod(dir, info.Mode()|0o011))
		}
		s.must(os.WriteFile(s.log, nil, 0o666))
		s.must(os.Chmod(s.log, 0o666))
		s.must(os.MkdirAll(s.root, 0o700))
		cmd := s.command("list")
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
		return s.run(cmd)
	},
	"no-space": func(s *session) result {
		s.must(os.MkdirAll(s.root, 0o700))
		s.must(unix.Mount("tmpfs", s.root, "tmpfs", 0, "size=1m,nr_inodes=2"))
		defer func() { s.must(unix.Unmount(s.root, 0)) }()
		return s.quiet("create", "c1")
	},
	"unsupported": func(s *session) result {
		cmd := s.command("create", "c1")
		hidden := exec.Command("unshare", append([]string{"--mount", "--propagation", "private", "sh", "-c", `mount -t tmpfs none /sys/fs/cgroup && exec "$@"`, "sh"}, cmd.Args...)...)
		hidden.Dir, hidden.Env = cmd.Dir, cmd.Env
		return s.run(hidden)
	},
	// The init of a PID namespace ends after all others in it, and one that is
	// traced not before the tracer has taken notice of its end.
	"timeout": func(s *session) result {
		s.configure("sleep 1000 & exec sleep 1001")
		s.ok("run", "-d", "c1")
		s.await("two processes", func() bool { return len(s.pids()) == 2 })
		pid := slices.DeleteFunc(s.pids(), func(pid int) bool { return pid == s.pid() })[0]
		runtime.LockOSThread() // a tracer is a thread
		defer runtime.UnlockOSThread()
		s.must(unix.PtraceSeize(pid))
		r := s.quiet("delete", "--force", "c1")
		_, err := unix.Wait4(pid, nil, unix.WALL, nil)
		s.must(err)
		s.ok("delete", "--force", "c1")
		return r
	},
	"internal": func(s *session) result {
		s.ok("create", "c1")
		defer s.ok("delete", "-f", "c1")
		return s.quiet("kill", "c1", "NOPE")
	},
}

// pods is a call with podrt's own roots in the session's directory. Their first
// is a mount of its own, once there is a pod.
func (s *session) pods(args ...string) result {
	s.Helper()
	s.Cleanup(func() { _ = unix.Unmount(s.path("pods"), 0) })
	return s.quiet(append([]string{"--pod-root", s.path("pods"), "--lib-root", s.path("lib"), "--log-root", s.path("logs")}, args...)...)
}

func (s *session) createOf(command string) result {
	s.Helper()
	s.configure("", func(spec *specs.Spec) { spec.Process.Args = []string{command} })
	return s.quiet("create", "c1")
}

// TestCodes provokes each code that cmd/podrt/codes.go lists.
func TestCodes(t *testing.T) {
	nativeOnly(t)
	rung.Privileged(t)
	w := newWorld(t)
	listed := listedCodes(t)
	for code, provoke := range provocations {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			s := w.session(t, w.sides[0], 'a')
			r := provoke(s)
			var line struct{ Code, Level, Msg string }
			if err := json.Unmarshal([]byte(r.log), &line); err != nil || line.Code != code || line.Level != "error" || r.code == 0 {
				t.Errorf("exit code %d, standard error %q, log %q, %v; want code %q", r.code, r.stderr, r.log, err, code)
			}
		})
	}
	if want := slices.Sorted(maps.Keys(provocations)); !slices.Equal(listed, want) {
		t.Errorf("codes.go lists %q; the test provokes %q", listed, want)
	}
}

// listedCodes are the values of the constants code… of cmd/podrt/codes.go.
func listedCodes(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../cmd/podrt/codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	var bad error
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if ok && len(v.Names) == 1 && strings.HasPrefix(v.Names[0].Name, "code") && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				s, err := strconv.Unquote(lit.Value)
				bad = errors.Join(bad, err)
				codes = append(codes, s)
			}
		}
		return true
	})
	if bad != nil {
		t.Fatal(bad)
	}
	slices.Sort(codes)
	return codes
}
