package integration

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

// ociEvent is what the tests look at in a line of events.
type ociEvent struct {
	Type, ID string
	Data     struct {
		CPU struct {
			Usage struct{ Total uint64 }
		}
		Memory struct {
			Usage struct{ Usage, Limit uint64 }
		}
		Pids struct{ Current uint64 }
	}
}

// ociEvents is a running `podrt events`.
type ociEvents struct {
	o     *ociRuntime
	cmd   *exec.Cmd
	lines *json.Decoder
}

func (o *ociRuntime) events(args ...string) *ociEvents {
	o.t.Helper()
	w := &ociEvents{o: o, cmd: o.command(append([]string{"events"}, args...)...)}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		o.t.Fatal(err)
	}
	w.lines = json.NewDecoder(bufio.NewReader(out))
	if err := w.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	return w
}

// next returns the next event, nil at the end.
func (w *ociEvents) next() *ociEvent {
	w.o.t.Helper()
	var e ociEvent
	err := w.lines.Decode(&e)
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		w.o.t.Fatal(err)
	}
	if e.ID != "c1" {
		w.o.t.Errorf("event of container %q; want c1", e.ID)
	}
	return &e
}

// ends reads the events that are left; there must be none of type bad, and
// podrt must end as after a success.
func (w *ociEvents) ends(bad string) {
	w.o.t.Helper()
	for e := w.next(); e != nil; e = w.next() {
		if e.Type == bad {
			w.o.t.Errorf("unexpected event %+v", e)
		}
	}
	if err := w.cmd.Wait(); err != nil {
		w.o.t.Errorf("events: %v", err)
	}
}

func TestOCIEvents(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.fails(1, "container does not exist", "events", "--stats", "c1")
	o.ok("run", "-d", "c1")
	o.fails(1, "duration interval must be greater than 0", "events", "--interval", "0s", "c1")

	var e ociEvent
	if out := o.ok("events", "--stats", "c1"); json.Unmarshal([]byte(out), &e) != nil || e.Type != "stats" || e.ID != "c1" || e.Data.CPU.Usage.Total == 0 || e.Data.Pids.Current == 0 {
		t.Errorf("events --stats prints %s", out)
	}
	w := o.events("--interval", "10ms", "c1")
	for range 3 {
		if e := w.next(); e == nil || e.Type != "stats" || e.Data.CPU.Usage.Total == 0 {
			t.Errorf("event = %+v; want stats", e)
		}
	}
	// It ends with the container.
	o.ok("kill", "c1", "9")
	w.ends("oom")
	o.awaitStatus("stopped")
	o.fails(1, "container with id c1 is not running", "events", "c1")
	o.ok("delete", "c1")
}

// A container that is deleted at once takes its cgroup with it.
func TestOCIEventsDelete(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	o.ok("run", "-d", "c1")
	w := o.events("--interval", "1ms", "c1")
	w.next()
	o.ok("delete", "--force", "c1")
	w.ends("oom")
}

func TestOCIEventsOOM(t *testing.T) {
	o := newOCI(t, "sleep 1000")
	rung.NeedController(t, "memory")
	limit := int64(32 << 20)
	o.configure(func(s *specs.Spec) {
		s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: &limit, Swap: &limit}
	})
	o.ok("run", "-d", "c1")
	hog := []string{"exec", "c1", "busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=100M", "count=1"}
	if r := o.call(hog...); r.code != 137 {
		t.Fatalf("a process of more than the limit ends with %+v; want exit code 137", r)
	}
	w := o.events("--interval", "50ms", "c1")
	if e := w.next(); e == nil || e.Type != "stats" || e.Data.Memory.Usage.Limit != uint64(limit) {
		t.Errorf("event = %+v; want stats: the kill was before", e)
	}
	if r := o.call(hog...); r.code != 137 {
		t.Errorf("a process of more than the limit ends with %+v; want exit code 137", r)
	}
	for e := w.next(); e == nil || e.Type != "oom"; e = w.next() {
		if e == nil {
			t.Fatal("the events end before the kill is told of")
		}
	}
	o.ok("delete", "--force", "c1")
	w.ends("oom")
}
