package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/podrt/podrt/integration/bench/count"
	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// pinned is what an operation may ask of the kernel: the numbers that it had
// when they were last looked at. More than a margin above them is a regression;
// whoever makes it better lowers them.
type pinned struct {
	calls  int // system calls of all processes, but for those that Go's scheduler makes at its own pace
	faults int // minor page faults of all processes, without a tracer
	// Bytes that all processes write into files, pipes and sockets.
	written int
	// Instructions outside of the kernel; 0 where more than one process makes them.
	instructions int
}

// Margins. Calls are the same to a few in a thousand, bytes to the length of ids
// and paths. Faults vary with threads, with the kernel, and with how the binary
// came into the page cache; instructions by one in a hundred, and by ten where the
// machine is busy: threads look for work by the clock.
const (
	callsMargin        = 1.05
	faultsMargin       = 1.20
	writtenMargin      = 1.05
	instructionsMargin = 1.25
)

// counts are those of the native rung.
var counts = map[string]pinned{
	"--version":              {163, 390, 118, 1_200_000},
	"state":                  {169, 401, 266, 1_490_000},
	"kill":                   {171, 412, 0, 0},
	"exec":                   {921, 1170, 3860, 0},
	"run":                    {2285, 1355, 9010, 0},
	"delete --force":         {318, 500, 0, 0},
	"pod create":             {474, 578, 2453, 0},
	"pod rm":                 {334, 482, 0, 0},
	"pod rm --force of five": {520, 518, 10, 0}, // how often it looks, and wakes its poller, depends on how long five take to end
}

// rounds is how often an operation is counted; the middle one is compared.
const rounds = 3

func TestCounts(t *testing.T) {
	rung.Privileged(t)
	if rung.Current() != rung.Native {
		t.Skip("the counts are those of the native rung: controllers, and another kernel, take others")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip(count.ErrNoStrace)
	}
	w := &world{arena: newArena(t)}
	t.Cleanup(func() { w.removeAll(t) })
	run := w.bundle(t, bundle.Spec("/bin/true"))
	state := w.bundle(t, bundle.Spec("/bin/sleep", "86400"))
	w.ok(t, "run", "--detach", "--bundle", state, "counted")
	t.Cleanup(func() { w.ok(t, "delete", "--force", "counted") })
	other := bundle.Spec("/bin/sleep", "86400")
	other.Linux.CgroupsPath = "/counted-deleted"
	sleep := w.bundle(t, other)

	// On a tmpfs each fault maps the same pages. On a disk that depends on the size
	// of the page cache's folios, and so on how the program was written, and when.
	podrt := filepath.Join(w.dir, "podrt")
	copyProgram(t, podrtBinary(), podrt)

	next := 0
	id := func() string {
		next++
		return fmt.Sprintf("c%d", next)
	}
	var pods []string
	five := make([]bundle.Container, 5)
	for i := range five {
		five[i] = bundle.Container{Name: id(), Spec: bundle.Spec("/bin/sleep", "86400")}
	}
	pod := w.newDir()
	if err := bundle.WritePod(pod, bundle.NewPod("p", nil), five...); err != nil {
		t.Fatal(err)
	}
	for _, op := range []struct {
		name string
		args func() []string
	}{
		{"--version", func() []string { return []string{"--version"} }},
		{"state", func() []string { return []string{"state", "counted"} }},
		{"kill", func() []string { return []string{"kill", "counted", "WINCH"} }},
		{"exec", func() []string { return []string{"exec", "counted", "/bin/true"} }},
		{"run", func() []string { return []string{"run", "--bundle", run, id()} }},
		{"delete --force", func() []string {
			c := id()
			w.ok(t, "run", "--detach", "--bundle", sleep, c)
			return []string{"delete", "--force", c}
		}},
		{"pod create", func() []string {
			pods = append(pods, id())
			return []string{"pod", "create", pods[len(pods)-1]}
		}},
		{"pod rm", func() []string {
			pod := pods[0]
			pods = pods[1:]
			return []string{"pod", "rm", pod}
		}},
		{"pod rm --force of five", func() []string {
			w.ok(t, "pod", "run", "--detach", pod)
			return []string{"pod", "rm", "--force", "p"}
		}},
	} {
		t.Run(op.name, func(t *testing.T) {
			pin, ok := counts[op.name]
			if !ok {
				t.Fatalf("%q has no pinned counts", op.name)
			}
			var calls, faults, written []int
			for range rounds {
				argv := w.argv(op.args()...)
				argv[0] = podrt
				c, err := count.Strace(exec.Command(argv[0], argv[1:]...))
				if err != nil {
					t.Fatal(err)
				}
				calls, written = append(calls, c.Steady()), append(written, int(c.Written))
				argv = w.argv(op.args()...)
				argv[0] = podrt
				cmd := exec.Command(argv[0], argv[1:]...)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("podrt %q: %v\n%s", op.args(), err, out)
				}
				faults = append(faults, int(count.Faults(cmd.ProcessState)))
			}
			compare(t, "system calls", middle(calls), pin.calls, callsMargin)
			compare(t, "page faults", middle(faults), pin.faults, faultsMargin)
			compare(t, "bytes written", middle(written), pin.written, writtenMargin)
			if pin.instructions > 0 {
				compare(t, "instructions", countInstructions(t, podrt, w.argv(op.args()...)), pin.instructions, instructionsMargin)
			}
		})
	}
}

// countInstructions is the middle of some counts of a command that changes nothing.
func countInstructions(t *testing.T, podrt string, argv []string) int {
	t.Helper()
	var all []int
	for range rounds {
		n, err := count.Instructions(exec.Command(podrt, argv[1:]...))
		if errors.Is(err, count.ErrNoValgrind) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, int(n))
	}
	return middle(all)
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

func middle(n []int) int {
	slices.Sort(n)
	return n[len(n)/2]
}

func compare(t *testing.T, what string, got, pin int, margin float64) {
	t.Helper()
	limit := int(float64(pin) * margin)
	switch {
	case got > limit:
		t.Errorf("%d %s; want at most %d, a margin above the %d that it took before", got, what, limit, pin)
	case float64(got)*margin < float64(pin):
		t.Logf("%d %s, pinned at %d: lower it", got, what, pin)
	default:
		t.Logf("%d %s, pinned at %d", got, what, pin)
	}
}
