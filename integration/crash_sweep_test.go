package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/rung"
)

// crash is a command that is killed at each of its steps, and what must be true
// after every kill.
type crash struct {
	name    string
	target  target
	prepare func(t *testing.T, a *arena) // before the command, each time
	args    []string                     // of podrt
	// check looks at the command's end: after the kill, or without one.
	check func(t *testing.T, a *arena, k *killReport, r *result)
	// remove must remove everything; nil: pod rm -f, for the pod "p".
	remove func(t *testing.T, a *arena)
	vm     bool // also in the VM, at a few points
	points int  // of a sample; 0: as many as usual
}

// sweepEnv chooses the points: "all" kills at every one (some minutes natively),
// "from 7" at each from the 7th; a number is how many for each crash, evenly
// spread.
const sweepEnv = "PODRT_TEST_CRASH"

// brief reports whether to try a sample only of what is the same on each rung:
// in the VM all takes ten times as long.
func brief() bool { return rung.Current() == rung.VM && os.Getenv(sweepEnv) == "" }

// settleLimit is how long killed processes may take to be gone.
const settleLimit = 15 * time.Second

// sweep is what sweepEnv says: from the point first every step-th, or so many
// that there are count of them.
type sweep struct{ first, count int }

func chosenSweep(t *testing.T) sweep {
	s := os.Getenv(sweepEnv)
	if s == "all" {
		return sweep{first: 1}
	}
	if from, ok := strings.CutPrefix(s, "from "); ok {
		n, err := strconv.Atoi(from)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q; want a point", sweepEnv, s)
		}
		return sweep{first: n}
	}
	n, err := strconv.Atoi(s)
	switch {
	case s == "" && rung.Current() == rung.VM:
		n = 2
	case s == "":
		n = 8
	case err != nil || n < 1:
		t.Fatalf("%s=%q; want a number, all, or from N", sweepEnv, s)
	}
	return sweep{first: 1, count: n}
}

// run sweeps over the points of one crash in an arena.
func (c *crash) run(t *testing.T, a *arena) {
	if rung.Current() == rung.VM && !c.vm {
		t.Skip("natively")
	}
	chosen := chosenSweep(t)
	if c.points > 0 && os.Getenv(sweepEnv) == "" {
		chosen.count = min(chosen.count, c.points)
	}
	awaitIdle(t)
	before, err := rung.Take()
	if err != nil {
		t.Fatal(err)
	}
	whole := c.once(t, a, before, 0)
	if t.Failed() {
		t.Fatal("it fails without a kill")
	}
	step := 1.0
	if chosen.count > 0 {
		step = max(1, float64(whole.Calls)/float64(chosen.count))
	}
	tried := 0
	for next := float64(chosen.first); ; next += step {
		at := int(next)
		// The number of points differs a little from run to run: to its very
		// end where all are tried.
		if at > whole.Calls && chosen.count > 0 {
			break
		}
		k := c.once(t, a, before, at)
		if t.Failed() {
			t.Fatalf("killed at point %d of %d: %s\nagain: %s='from %d' and this test", at, whole.Calls, k.Where, sweepEnv, at)
		}
		tried++
		if !k.Killed && at > whole.Calls {
			break
		}
	}
	t.Logf("killed at %d of %d points", tried, whole.Calls)
}

// once kills once and checks that removal removes everything.
func (c *crash) once(t *testing.T, a *arena, before *rung.Snapshot, at int) *killReport {
	t.Helper()
	if c.prepare != nil {
		c.prepare(t, a)
	}
	k, r := a.kill(t, killOrder{Target: c.target, At: at}, c.args)
	if c.check != nil {
		c.check(t, a, k, r)
	}
	if c.remove != nil {
		c.remove(t, a)
	} else {
		succeed(t, a, "pod", "rm", "-f", "p")
	}
	if left := a.left(); len(left) > 0 {
		t.Errorf("left after the removal: %q", left)
	}
	if left := before.Settle(settleLimit); left != "" {
		t.Errorf("left after the removal:\n%s", left)
	}
	if c.remove == nil {
		// The name is free, and the new pod has nothing of the old.
		succeed(t, a, "pod", "create", "p")
		succeed(t, a, "pod", "rm", "p")
	}
	if t.Failed() {
		t.Logf("the killed command ended with %d: %v", r.code, r)
	}
	return k
}

// succeed runs a podrt command that must not fail.
func succeed(t *testing.T, a *arena, args ...string) {
	t.Helper()
	if r := a.podrt(t, args...); r.code != 0 {
		t.Errorf("exit code %d; want 0: %v", r.code, r)
	}
}

// kill runs a podrt command under the tracer.
func (a *arena) kill(t *testing.T, order killOrder, args []string) (*killReport, *result) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(order)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(a.dir, "report"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := a.command(t, append([]string{self}, a.argv(args...)...), func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), tracerEnv+"="+string(b))
		cmd.ExtraFiles = []*os.File{f}
	})
	var k killReport
	text := content(t, f)
	if err := json.Unmarshal([]byte(text), &k); err != nil || k.Error != "" || r.code != 0 {
		t.Fatalf("tracer: %s %v: %v", text, err, r)
	}
	if order.At > 0 && order.At < k.Calls && !k.Killed {
		t.Fatalf("tracer did not kill: %s", text)
	}
	r.code = k.Exit
	return &k, r
}

// wantKilled is what the caller of a killed command sees.
func wantKilled(t *testing.T, _ *arena, k *killReport, r *result) {
	t.Helper()
	want := 0
	if k.Killed {
		want = 128 + 9
	}
	if r.code != want {
		t.Errorf("exit code %d; want %d", r.code, want)
	}
}

// wantFailed is what the caller sees when another process was killed: it may
// not take it for a success, nor wait for ever.
func wantFailed(t *testing.T, _ *arena, k *killReport, r *result) {
	t.Helper()
	if k.Killed && strings.HasPrefix(k.Where, "exit_group") {
		return // it had done its work
	}
	if k.Killed == (r.code == 0) {
		t.Errorf("exit code %d with killed %t", r.code, k.Killed)
	}
	if k.Killed && strings.TrimSpace(r.stderr) == "" {
		t.Error("no message")
	}
}

// wantEnded is wantFailed for run and exec, which give the status of a process
// that has ended by itself, as runc does: with the last call that sets it up it
// counts as started, and its caller gets 137.
func wantEnded(t *testing.T, a *arena, k *killReport, r *result) {
	t.Helper()
	if !k.Killed || r.code != 128+9 {
		wantFailed(t, a, k, r)
	}
}

// crashPod is a pod that has everything which could be left behind: a PID
// namespace with its init, an overlay, each kind of volume, a subPath, sysctls.
func crashPod(t *testing.T, a *arena, name, script string, more ...string) string {
	t.Helper()
	host := filepath.Join(a.dir, "host")
	if err := os.MkdirAll(host, 0o755); err != nil {
		t.Fatal(err)
	}
	pod := fmt.Sprintf(`{
		"podVersion": "0.1.0", "metadata": {"name": "p"}, "share": ["net", "ipc", "uts", "pid"],
		"sysctls": {"net.core.somaxconn": "100", "kernel.shmmni": "100"}, "terminationGracePeriodSeconds": 0, %s
		"volumes": [{"name": "disk", "emptyDir": {}}, {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": 65536}},
			{"name": "host", "hostPath": {"path": %q}}],
		"containers": [
			{"name": "one", "overlay": true, "volumeMounts": [{"name": "disk", "mountPath": "/disk", "subPath": "a"}, {"name": "host", "mountPath": "/host"}]},
			{"name": "two", "volumeMounts": [{"name": "memory", "mountPath": "/memory"}]}]}`, strings.Join(more, ""), host)
	return podBundle(t, filepath.Join(a.dir, name), pod, map[string]string{"one": script, "two": script})
}
