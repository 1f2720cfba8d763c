package integration

import (
	"fmt"
	"os/exec"
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
}

// Margins. Calls are the same to a few in a thousand. Faults vary with threads,
// with the kernel, and with how the binary came into the page cache.
const (
	callsMargin  = 1.05
	faultsMargin = 1.20
)

// counts are pinned by rung: in the VM there are controllers to be enabled and
// another kernel.
var counts = map[rung.Kind]map[string]pinned{
	rung.Native: {
		"--version":              {163, 308},
		"state":                  {169, 340},
		"kill":                   {171, 330},
		"exec":                   {920, 984},
		"run":                    {2270, 1145},
		"delete --force":         {317, 409},
		"pod create":             {466, 463},
		"pod rm":                 {355, 390},
		"pod rm --force of five": {515, 427},
	},
	rung.VM: {
		"--version":              {165, 222},
		"state":                  {171, 245},
		"kill":                   {173, 232},
		"exec":                   {929, 699},
		"run":                    {2315, 732},
		"delete --force":         {319, 304},
		"pod create":             {477, 330},
		"pod rm":                 {358, 288},
		"pod rm --force of five": {503, 296},
	},
}

// rounds is how often an operation is counted; the middle one is compared.
const rounds = 3

func TestCounts(t *testing.T) {
	rung.Privileged(t)
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
			pin, ok := counts[rung.Current()][op.name]
			if !ok {
				t.Fatalf("%q has no pinned counts on the rung %q", op.name, rung.Current())
			}
			var calls, faults []int
			for range rounds {
				argv := w.argv(op.args()...)
				c, err := count.Strace(exec.Command(argv[0], argv[1:]...))
				if err != nil {
					t.Fatal(err)
				}
				calls = append(calls, c.Steady())
				argv = w.argv(op.args()...)
				cmd := exec.Command(argv[0], argv[1:]...)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("podrt %q: %v\n%s", op.args(), err, out)
				}
				faults = append(faults, int(count.Faults(cmd.ProcessState)))
			}
			compare(t, "system calls", middle(calls), pin.calls, callsMargin)
			compare(t, "page faults", middle(faults), pin.faults, faultsMargin)
		})
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
