package nsenter

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// initMemoryMax is what a pod init may cost: all pages that it alone has,
// those of its executable included, which it may share with others.
const initMemoryMax = 200 // kB

// The memory of the pod init of a static binary, linked at a fixed address as
// podrt is, or anywhere, when libc relocates 100 kB and more before it is
// forked.
func TestInitMemory(t *testing.T) {
	for name, build := range map[string][]string{
		"test":   nil, // this program, dynamic and large
		"static": {"-tags", "seccomp netgo osusergo", "-ldflags", "-s -w -extldflags -static"},
		"static-pie": {
			"-tags", "seccomp netgo osusergo", "-buildmode=pie",
			"-ldflags", "-s -w -linkmode external -extldflags -static-pie",
		},
	} {
		t.Run(name, func(t *testing.T) {
			rung.Privileged(t)
			var exe *os.File
			if build != nil {
				if rung.Current() == rung.VM {
					t.Skip("builds a program: on the native rung")
				}
				exe = buildStatic(t, build)
			}
			for variant, cfg := range initVariants() {
				cfg.PinDir = pinDir(t)
				cfg.Exe = exe
				cfg.Hostname = strings.Repeat("h", 64)
				if !cfg.has(UTS) {
					cfg.Hostname = ""
				}
				res := mustCreate(t, cfg)
				waitLoop(t, res.InitPID)
				m := rollup(t, res.InitPID)
				private := m["Private_Dirty"] + m["Private_Clean"]
				t.Logf("%s: private %d kB (dirty %d, clean %d), anonymous %d kB, resident %d kB",
					variant, private, m["Private_Dirty"], m["Private_Clean"], m["Anonymous"], m["Rss"])
				if private > initMemoryMax {
					t.Errorf("%s: private memory %d kB; want at most %d kB", variant, private, initMemoryMax)
				}
			}
		})
	}
}

// buildStatic builds testdata/static with these flags.
func buildStatic(t testing.TB, flags []string) *os.File {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "static")
	args := append(append([]string{"build", "-trimpath", "-o", exe}, flags...), "./testdata/static")
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	f, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// rollup is /proc/PID/smaps_rollup, in kB.
func rollup(t testing.TB, pid int) map[string]int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := map[string]int{}
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) == 3 && fields[2] == "kB" {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			m[strings.TrimSuffix(fields[0], ":")] = kb
		}
	}
	if _, ok := m["Private_Dirty"]; !ok {
		t.Fatalf("no Private_Dirty in %v", m)
	}
	return m
}
