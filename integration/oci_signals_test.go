package integration

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestOCIIgnoredSignals: what the caller of podrt ignores, as nohup(1) and daemons
// do, the container's processes do not.
func TestOCIIgnoredSignals(t *testing.T) {
	look := []string{"sed", "-n", "s/^SigIgn://p", "/proc/self/status"}
	o := newOCI(t, "exec sleep 1000")
	o.ok("run", "--bundle", o.bundle, "--detach", "c1")
	defer o.ok("delete", "--force", "c1")
	o.configure(func(s *specs.Spec) { s.Process.Args = look })
	for _, args := range [][]string{
		{"run", "c2"},
		{"run", "--detach", "--keep", "c2"},
		append([]string{"exec", "c1"}, look...), append([]string{"exec", "--detach", "c1"}, look...),
	} {
		if args[0] == "run" {
			args = slices.Insert(args, 1, "--bundle", o.bundle)
		}
		cmd := o.command(args...)
		sh := exec.Command("sh", append([]string{"-c", `trap "" HUP INT QUIT USR1 PIPE TERM TSTP TTIN TTOU CONT; exec "$@"`, "sh"}, cmd.Args...)...)
		sh.Env = cmd.Env
		// Of a detached process, too, until its end: it holds the pipe.
		out, err := sh.CombinedOutput()
		got, perr := strconv.ParseUint(strings.TrimSpace(string(out)), 16, 64)
		// But 32 and 33, which are the C library's own: what make(1) starts ignores
		// them (posix_spawn(3) of glibc).
		if err != nil || perr != nil || got&^(3<<31) != 0 {
			t.Errorf("%q: %v, %q; want a process that ignores no signal", args, err, out)
		}
		if slices.Contains(args, "--keep") {
			o.ok("delete", "--force", "c2")
		}
	}
}
