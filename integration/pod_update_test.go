package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// TestPodUpdate: the limits of a running pod change in place, all or none, and are
// those of the pod from then on.
func TestPodUpdate(t *testing.T) {
	w := newWorld(t)
	rung.NeedController(t, "memory", "cpu", "cpuset", "pids")
	w.start(t, w.podOf(t, bundle.Pod{"resources": object{"memory": object{"limit": 256 << 20, "swap": 300 << 20}}}, bundle.Container{Name: "a"}))
	before := w.inspect(t, "p")
	want := func(limits map[string]string) {
		t.Helper()
		wantFiles(t, before.Cgroup, limits)
	}
	w.ok(t, "pod", "update", "--memory", "128m", "--cpus", "0.5", "--pids-limit", "50", "--cpuset-cpus", "0", "p")
	limits := map[string]string{
		"memory.max": "134217728", "memory.swap.max": "180355072", // what is left of 300 MiB
		"cpu.max": "50000 100000", "pids.max": "50", "cpuset.cpus": "0",
	}
	want(limits)
	const recorded = `{"memory":{"limit":134217728,"swap":314572800},"cpu":{"quota":50000,"period":100000,"cpus":"0"},"pids":{"limit":50}}`
	wantLimits(t, w.inspect(t, "p"), recorded)
	a := w.agent(t, "p", "a")
	if got := a.stay(t, "eat-memory", strconv.Itoa(32<<20)); got != "ready" {
		t.Fatalf("eat 32 MiB of 128: %q", got)
	}

	// The kernel refuses the last of them.
	file := filepath.Join(w.dir, "limits")
	write(t, file, `{"memory":{"limit":201326592},"cpu":{"quota":10000},"pids":{"limit":-1},"unified":{"memory.high":"much"}}`)
	w.fails(t, 1, []string{`update pod "p"`, `resources.unified["memory.high"]: write "much"`}, "pod", "update", "-r", file, "p")
	w.fails(t, 1, []string{`update pod "p": resources.memory.limit: 16777216 is less than what is in use, `}, "pod", "update", "--pids-limit", "60", "--memory", "16m", "p")
	want(limits)
	wantLimits(t, w.inspect(t, "p"), recorded)

	w.ok(t, "pod", "stop", "-t", "0", "p")
	w.ok(t, "pod", "start", "p")
	want(limits)
	w.ok(t, "pod", "update", "--memory", "-1", "--cpus", "0", "--pids-limit", "-1", "p")
	want(map[string]string{"memory.max": "max", "memory.swap.max": "max", "cpu.max": "max 100000", "pids.max": "max", "cpuset.cpus": "0"})
	after := w.inspect(t, "p")
	wantLimits(t, after, `{"memory":{"limit":-1},"cpu":{"quota":-1,"period":100000,"cpus":"0"},"pids":{"limit":-1}}`)
	if after.UID != before.UID || after.container(t, "a").Restarts != 0 {
		t.Errorf("pod %q, %+v; want %q, nothing started by itself", after.UID, after.Containers, before.UID)
	}
}

// TestPodUpdateKept: what has been updated stays, whatever becomes of the
// containers; an update that was cut short is undone.
func TestPodUpdateKept(t *testing.T) {
	if rung.Current() == rung.VM {
		t.Skip("natively") // of limits that need no controller
	}
	w := newWorld(t)
	w.start(t, w.podOf(t, restarting("Always", 1000), bundle.Container{Name: "a"}))
	w.agent(t, "p", "a")
	cgroup := w.inspect(t, "p").Cgroup
	update := func(depth int, descendants string) []string {
		return []string{"pod", "update", "--resources", limitsFile(t, w.arena, depth, descendants), "p"}
	}
	want := func(depth int, descendants string) {
		t.Helper()
		wantFiles(t, cgroup, map[string]string{"cgroup.max.depth": strconv.Itoa(depth), "cgroup.max.descendants": descendants})
		wantLimits(t, w.inspect(t, "p"), string(unifiedLimits(depth, descendants)))
	}
	w.ok(t, update(5, "9")...)
	want(5, "9")
	w.fails(t, 1, []string{`update pod "p": `, `cgroup.max.descendants"]: write "many" to `, "invalid argument"}, update(6, "many")...)
	w.fails(t, 1, []string{`update pod "p": resources.blockIO: cannot be changed`}, "pod", "update", "-r", w.file(t, `{"blockIO":{"weight":10}}`), "p")
	w.fails(t, 1, []string{`update pod "p": resources.devices: device rules are each container's`}, "pod", "update", "-r", w.file(t, `{"devices":[{"allow":false}],"unified":{"cgroup.max.depth":"1"}}`), "p")
	w.fails(t, 1, []string{`update pod "p": resources.pids.limit needs the "pids" controller`}, "pod", "update", "--pids-limit", "5", "p")
	w.fails(t, 1, []string{`update pod "p": resources.memory.swap: 5242880 with memory.limit 6291456`}, "pod", "update", "--memory", "6m", "--memory-swap", "5m", "p")
	w.fails(t, 1, []string{"memory.limt: 5: unknown field"}, "pod", "update", "-r", w.file(t, `{"memory":{"limt":5}}`), "p")
	w.fails(t, 1, []string{`update pod "p": no limit is given`}, "pod", "update", "-r", w.file(t, `{}`), "p")
	want(5, "9")

	w.ok(t, "pod", "pause", "p")
	r := w.podrt(t, append(update(4, "8"), "none")...)
	if r.code != 1 || !strings.Contains(message(r), `pod "none": pod does not exist`) {
		t.Errorf("update of two pods of which there is one: %v", r)
	}
	w.ok(t, "pod", "resume", "p")
	want(4, "8")
	w.ok(t, "kill", w.inspect(t, "p").container(t, "a").ID, "KILL")
	w.forget("p", "a")
	w.agent(t, "p", "a") // started again
	w.ok(t, "pod", "stop", "-t", "0", "p")
	w.forget("p", "a")
	want(4, "8")

	cut := func() {
		t.Helper()
		changeRecord(t, w.arena, "p", func(rec map[string]any) {
			rec["update"] = object{
				"resources": json.RawMessage(unifiedLimits(2, "7")),
				"before":    list{object{"file": "cgroup.max.depth", "value": "4"}, object{"file": "cgroup.max.descendants", "value": "8"}},
			}
		})
		writeFile(t, filepath.Join(cgroup, "cgroup.max.depth"), "2")
		want := map[string]string{"cgroup.max.depth": "2", "cgroup.max.descendants": "8"}
		wantFiles(t, cgroup, want)
	}
	cut()
	w.ok(t, "pod", "start", "p")
	w.agent(t, "p", "a")
	want(4, "8")
	cut()
	// One that fails puts back what was before both.
	w.fails(t, 1, []string{"invalid argument"}, update(3, "many")...)
	want(4, "8")
	cut()
	w.ok(t, "pod", "update", "--resources", w.file(t, `{"unified":{"cgroup.max.descendants":"max"}}`), "p")
	want(4, "max")
	if text := readFile(t, filepath.Join(podDir(t, w.arena, "p"), "pod.json")); strings.Contains(text, `"update"`) {
		t.Errorf("an update is under way still: %s", text)
	}

	w.create(t, "q")
	if err := os.Remove(w.inspect(t, "q").Cgroup); err != nil {
		t.Fatal(err)
	}
	w.fails(t, 1, []string{`update pod "q": read limits: open `, "no such file or directory"}, "pod", "update", "-r", limitsFile(t, w.arena, 1, "1"), "q")
}

// wantSettled: an update that was cut short is undone by the next one, and else
// done; what the record says is what the cgroup has then.
func wantSettled(t *testing.T, a *arena, k *killReport, r *result) {
	t.Helper()
	wantKilled(t, a, k, r)
	file := filepath.Join(a.dir, "next")
	write(t, file, `{"unified":{"cgroup.max.descendants":"7"}}`)
	a.ok(t, "pod", "update", "-r", file, "p")
	var pods []podInfo
	out := a.ok(t, "pod", "inspect", "p").stdout
	if err := json.Unmarshal([]byte(out), &pods); err != nil || len(pods) != 1 {
		t.Fatalf("pod inspect: %v: %s", err, out)
	}
	depth, done := pods[0].Spec.Resources.Unified["cgroup.max.depth"]
	if !done {
		depth = "max"
	}
	wantFiles(t, pods[0].Cgroup, map[string]string{"cgroup.max.depth": depth, "cgroup.max.descendants": "7"})
	if !k.Killed && depth != "5" {
		t.Errorf("cgroup.max.depth after the whole update: %s; want 5", depth)
	}
}

// file makes a file with that text.
func (w *world) file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(w.dir, "file")
	write(t, path, text)
	return path
}

// limitsFile makes a file of two limits that need no controller.
func limitsFile(t *testing.T, a *arena, depth int, descendants string) string {
	t.Helper()
	path := filepath.Join(a.dir, "limits")
	write(t, path, string(unifiedLimits(depth, descendants)))
	return path
}

func unifiedLimits(depth int, descendants string) []byte {
	return fmt.Appendf(nil, `{"unified":{"cgroup.max.depth":"%d","cgroup.max.descendants":%q}}`, depth, descendants)
}

// wantFiles compares files of a cgroup.
func wantFiles(t *testing.T, cgroup string, want map[string]string) {
	t.Helper()
	for file, value := range want {
		if got := strings.TrimSpace(readFile(t, filepath.Join(cgroup, file))); got != value {
			t.Errorf("%s = %q; want %q", file, got, value)
		}
	}
}

// wantLimits compares the limits of a pod in the output of inspect.
func wantLimits(t *testing.T, p *podInfo, want string) {
	t.Helper()
	got, err := json.Marshal(p.Spec.Resources)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("inspect: limits %s; want %s", got, want)
	}
}
