package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/rung"
)

const stateJSON = `{"id":"a","init_process_pid":42,"init_process_start":1234567890123,"created":"2026-11-22T10:00:00.123456789Z",` +
	`"config":{"rootfs":"/b/root \"fs\"","mounts":[{"source":"id","config":{"rootfs":"no"}}],"version":"1.3.0","labels":["bundle=/b","k=v=w"],"id":7},` +
	`"rootless":false,"cgroup_paths":{"":"/sys/fs/cgroup/a"},"namespace_paths":{"NEWNET":"/proc/42/ns/net"}}`

func TestParseStateFile(t *testing.T) {
	want := stateFile{
		id: "a", version: "1.3.0", rootfs: `/b/root "fs"`, labels: []string{"bundle=/b", "k=v=w"}, pid: 42, start: 1234567890123,
		created: time.Date(2026, 11, 22, 10, 0, 0, 123456789, time.UTC), cgroup: "/sys/fs/cgroup/a",
	}
	if got, ok := parseStateFile([]byte(stateJSON)); !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("parseStateFile(...) = %+v, %v; want %+v, true", got, ok, want)
	}
}

func TestParseStateFileOdd(t *testing.T) {
	for _, repl := range [][2]string{
		{`"id":"a"`, `"id":1`},
		{`"init_process_pid":42`, `"init_process_pid":"42"`},
		{`"init_process_start":`, `"start":`},
		{`2026-11-22T`, `yesterday`},
		{`"rootfs":"/b/`, `"roof":"/b/`},
		{`"version":"1.3.0"`, `"version":null`},
		{`"labels":["bundle=/b","k=v=w"]`, `"labels":null`},
		{`{"":"/sys/fs/cgroup/a"}`, `{"freezer":"/sys/fs/cgroup/a"}`},
		{`{"":"/sys/fs/cgroup/a"}`, `null`},
		{stateJSON, ``},
		{stateJSON, `not json`},
		{stateJSON, stateJSON[:len(stateJSON)/2]},
		{stateJSON, `[` + stateJSON + `]`},
	} {
		if !strings.Contains(stateJSON, repl[0]) {
			t.Fatalf("no %q in the example", repl[0])
		}
		odd := strings.Replace(stateJSON, repl[0], repl[1], 1)
		if got, ok := parseStateFile([]byte(odd)); ok {
			t.Errorf("parseStateFile with %q = %+v, true; want false", repl[1], got)
		}
	}
}

// A state.json that is JSON and no state is an error beside the others.
func TestListContainersWithoutState(t *testing.T) {
	root := t.TempDir()
	for i, text := range []string{"null", "{}", `{"config":null}`, `{"config":{"cgroups":null}}`} {
		dir := filepath.Join(root, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "state.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	states, errs, err := ListContainers(root)
	if len(states) != 0 || err != nil || len(errs) != 4 {
		t.Fatalf("ListContainers() = %v, %v, %v; want four errors", states, errs, err)
	}
	for i, err := range errs {
		if want := fmt.Sprintf("load container %d: %s/%d/state.json is not a container's state: ", i, root, i); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %q; want %q…", err, want)
		}
	}
}

// What the files say is what libcontainer says, in each state; a paused
// container is libcontainer's to describe.
func TestReadState(t *testing.T) {
	rung.Privileged(t)
	root := t.TempDir()
	bundle, spec := busyboxBundle(t, "exec busybox sleep 1000")
	spec.Annotations = map[string]string{"k": "v=w", "l": ""}
	c, err := CreateContainer(ContainerConfig{Root: root, ID: "x", Bundle: bundle, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, stateFileMax)
	check := func(want Status) {
		t.Helper()
		slow, err := c.State()
		if err != nil || slow.Status != want {
			t.Fatalf("State() = %+v, %v; want status %s", slow, err, want)
		}
		fast, ok := readState(root, "x", buf)
		if want == StatusPaused {
			if ok {
				t.Errorf("readState of a paused container = %+v, true; want false", fast)
			}
		} else if !ok || !reflect.DeepEqual(fast, slow) {
			t.Errorf("readState = %+v, %v; want %+v", fast, ok, slow)
		}
		if got, err := StateOf(root, "x"); err != nil || !reflect.DeepEqual(got, slow) {
			t.Errorf("StateOf = %+v, %v; want %+v", got, err, slow)
		}
	}
	p := &Process{Spec: spec.Process}
	if err := c.StartInit(p); err != nil {
		t.Fatal(err)
	}
	check(StatusCreated)
	for _, id := range []string{"", ".", "..", "./x", "x/", "x/../x", "y"} {
		if s, ok := readState(root, id, buf); ok {
			t.Errorf("readState(%q) = %+v, true; want false", id, s)
		}
	}
	for _, step := range []struct {
		do   func() error
		want Status
	}{
		{c.Start, StatusRunning},
		{c.Pause, StatusPaused},
		{c.Resume, StatusRunning},
		{func() error { return c.Signal(9, false) }, ""},
		{func() error { _, err := p.Wait(); return err }, StatusStopped},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if step.want != "" {
			check(step.want)
		}
	}
	if err := c.Delete(patience(t), false); err != nil {
		t.Fatal(err)
	}
}
