package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
)

// wantNothingKnown fails the test if the cache directory knows a pod.
func (w *world) wantNothingKnown() {
	w.t.Helper()
	entries, err := os.ReadDir(w.CacheDir + "/pods")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Error(err)
	}
	for _, e := range entries {
		w.t.Errorf("%s/pods/%s is left", w.CacheDir, e.Name())
	}
}

// hanging makes the FIFO to which the test's plugin says that it hangs.
func (w *world) hanging() {
	w.t.Helper()
	if err := unix.Mkfifo(filepath.Join(w.plugin, "hanging"), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// waitHanging returns when the plugin hangs: the process that has executed it, it
// itself, and what it has executed.
func (w *world) waitHanging() (parent, self, child int) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.plugin, "hanging"))
	if err == nil {
		_, err = fmt.Sscan(string(text), &parent, &self, &child)
	}
	if err != nil {
		w.t.Fatalf("plugin says %q: %v", text, err)
	}
	return parent, self, child
}

// wantGone fails the test if one of the processes lives. A zombie does not.
func wantGone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && !strings.Contains(string(stat), ") Z ") {
			t.Errorf("process %d lives: %s", pid, stat)
		}
	}
}

// The second plugin fails, in each of its ways; nothing is left of the first.
func TestAddFails(t *testing.T) {
	for _, tt := range []struct{ behaviour, want string }{
		{"fail", "no luck; today"},
		{"die", `exit status 3: "last words"`},
		{"rubbish", "invalid character 'r'"},
		{"flood", "more than 1048576 bytes of output"},
		{"null", "named neither an interface nor an address"},
	} {
		t.Run(tt.behaviour, func(t *testing.T) {
			w := newWorld(t)
			w.conf("1.0.0", "net", plainPlugin, testPlugin)
			w.behave("ADD", tt.behaviour)
			_, _, err := w.Add(context.Background(), w.pod("u1", "net"))
			wantError(t, err, `attach pod "u1" to CNI network "net"`, tt.want)
			w.wantNothing()
			if n := len(calls(t, w.plugin, "DEL")); n != 1 {
				t.Errorf("plugin was executed with DEL %d times; want once", n)
			}
		})
	}
}

// The plugin fails with DEL too: the others give back what is theirs, and it is
// asked again.
func TestDelFails(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", plainPlugin, testPlugin)
	w.behave("ADD", "fail")
	w.behave("DEL", "fail")
	_, _, err := w.Add(context.Background(), w.pod("u1", "net"))
	wantError(t, err, `attach pod "u1"`, `take pod "u1" out of CNI network "net": plugin "podrt-plugin" failed to delete: no luck; today`)
	if got := w.leased(); len(got) > 0 {
		t.Errorf("the addresses %q are left", got)
	}
	wantError(t, w.Del(context.Background(), "u1"), "no luck")
	w.behave("DEL", "")
	w.mustDel("u1")
	w.wantNothing()
}

func TestAddHangs(t *testing.T) {
	for _, name := range []string{"timeout", "cancelled"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.conf("1.0.0", "net", plainPlugin, testPlugin)
			w.behave("ADD", "hang")
			w.hanging()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			pids := make(chan [2]int, 1)
			go func() {
				_, self, child := w.waitHanging()
				pids <- [2]int{self, child}
				if name == "cancelled" {
					cancel()
				}
			}()
			if name == "timeout" {
				// Long enough for the first plugin, also in the VM.
				w.AddTimeout = 15 * time.Second
			}
			_, _, err := w.Add(ctx, w.pod("u1", "net"))
			plugin := <-pids
			wantGone(t, plugin[0], plugin[1])
			if name == "timeout" {
				wantError(t, err, `attach pod "u1" to CNI network "net"`, "killed after 1")
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v is not context.DeadlineExceeded", err)
				}
			} else {
				wantError(t, err, "context canceled")
			}
			w.wantNothing()
		})
	}
}

// A plugin hangs with DEL: it is killed, and the others have their time.
func TestDelHangs(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", plainPlugin, testPlugin)
	w.mustAdd(w.pod("u1", "net"))
	w.behave("DEL", "hang")
	w.hanging()
	pids := make(chan [2]int, 1)
	go func() {
		_, self, child := w.waitHanging()
		pids <- [2]int{self, child}
	}()
	patient := w.DelTimeout
	w.DelTimeout = 20 * time.Second
	err := w.Del(context.Background(), "u1")
	wantError(t, err, `plugin "podrt-plugin" failed to delete: killed after`)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v is not context.DeadlineExceeded", err)
	}
	plugin := <-pids
	wantGone(t, plugin[0], plugin[1])
	if got := w.leased(); len(got) > 0 {
		t.Errorf("the addresses %q are left", got)
	}
	w.behave("DEL", "")
	w.DelTimeout = patient
	w.mustDel("u1")
	w.wantNothing()
}

// podrt-cni, or what has executed it, is killed while a plugin runs. The UID is
// enough to end the plugin and all it has begun.
func TestKilled(t *testing.T) {
	for _, victim := range []string{"podrt-cni", "caller"} {
		t.Run(victim, func(t *testing.T) {
			w := newWorld(t)
			w.conf("1.0.0", "net", bridgePlugin, portmapPlugin, testPlugin)
			w.behave("ADD", "hang")
			w.hanging()
			a := w.pod("u1", "net")
			a.Ports = []netsetup.Port{{HostPort: 8080, ContainerPort: 80, Protocol: netsetup.TCP}}
			in, err := json.Marshal(map[string]any{"CNI": w.CNI, "Attach": a})
			if err != nil {
				t.Fatal(err)
			}
			var stderr bytes.Buffer
			caller := exec.Command(link(t, t.TempDir(), callerName))
			caller.Stdin, caller.Stderr = bytes.NewReader(in), &stderr
			if err := caller.Start(); err != nil {
				t.Fatal(err)
			}
			program, plugin, child := w.waitHanging()
			if len(w.leased()) != 2 || w.rules() == "" {
				t.Errorf("the plugins before have not made all: %q, %q", w.leased(), w.rules())
			}
			pid := program
			if victim == "caller" {
				pid = caller.Process.Pid
			}
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := caller.Wait(); err == nil {
				t.Error("the caller has succeeded")
			}
			if victim == "podrt-cni" && !strings.Contains(stderr.String(), "signal: killed") {
				t.Errorf("the caller says %q; want that podrt-cni was killed", &stderr)
			}
			// What is killed with its parent is not dead at once, what has left its
			// group not at all.
			w.mustDel("u1")
			wantGone(t, program, plugin, child)
			w.wantNothing()
		})
	}
}

// podrt-cni is killed while a plugin takes a pod out of its network. What comes
// next ends what that has left running before it executes the plugins again, and
// does not take the pod for attached.
func TestKilledDel(t *testing.T) {
	for _, next := range []string{"ADD", "DEL"} {
		t.Run(next, func(t *testing.T) {
			w := newWorld(t)
			w.conf("1.0.0", "net", plainPlugin, testPlugin)
			a := w.pod("u1", "net")
			w.mustAdd(a)
			w.behave("DEL", "hang")
			w.hanging()
			deleted := make(chan error, 1)
			go func() { deleted <- w.Del(context.Background(), "u1") }()
			program, plugin, child := w.waitHanging()
			if err := unix.Kill(program, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			wantError(t, <-deleted, "signal: killed")
			w.behave("DEL", "")
			if next == "ADD" {
				w.mustAdd(a)
				if told := calls(t, w.plugin, "ADD", "DEL"); len(told) != 4 || told[2].Command != "DEL" || told[3].Command != "ADD" {
					t.Errorf("calls %+v; want ADD, DEL, DEL, ADD", told)
				}
			} else {
				w.mustDel("u1")
			}
			wantGone(t, program, plugin, child)
			w.mustDel("u1")
			w.wantNothing()
		})
	}
}

// Killed before the record of the pod had its name.
func TestKilledEarly(t *testing.T) {
	w := newWorld(t)
	mustWrite(t, netsetup.CNIPodDir(w.CacheDir, "u1")+"/intent.json.tmp", "{")
	w.mustDel("u1")
	w.Program = "/nowhere" // nothing is executed
	w.mustDel("u1")
	w.wantNothingKnown()
}

// A removal was killed when the intent was gone, and the rest was not: the pod is
// attached, and to stay so.
func TestKilledLate(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", plainPlugin, testPlugin)
	a := w.pod("u1", "net")
	mustWrite(t, netsetup.CNIPodDir(w.CacheDir, "u1")+"/leaving", "")
	w.mustAdd(a)
	w.mustAdd(a)
	if told := calls(t, w.plugin, "ADD", "DEL"); len(told) != 1 {
		t.Errorf("calls %+v; want one ADD", told)
	}
	w.mustDel("u1")
	w.wantNothing()
}

// An intent that the disk has no room for leaves nothing.
func TestIntentFull(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", plainPlugin, testPlugin)
	if err := os.MkdirAll(w.CacheDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", w.CacheDir, "tmpfs", 0, "size=4096"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(w.CacheDir, 0); err != nil {
			t.Error(err)
		}
	})
	mustWrite(t, w.CacheDir+"/full", strings.Repeat("x", 4096))
	_, _, err := w.Add(context.Background(), w.pod("u1", "net"))
	wantError(t, err, `record pod "u1" for CNI network "net"`, "no space left on device")
	if strings.Contains(err.Error(), "not empty") {
		t.Error(err)
	}
	if left, err := os.ReadDir(w.CacheDir + "/pods"); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// What libcni keeps was written by half.
func TestResultTorn(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", plainPlugin, testPlugin)
	a := w.pod("u1", "net")
	w.mustAdd(a)
	mustWrite(t, netsetup.CNIPodDir(w.CacheDir, "u1")+"/results/net-u1-eth0", `{"kind":"cniCacheV1","containerId":"u1","conf`)
	wantError(t, w.Check(context.Background(), "u1"), "it was not attached wholly")
	// Added again, it is taken out first.
	w.mustAdd(a)
	if told := calls(t, w.plugin, "ADD", "DEL"); len(told) != 3 || told[1].Command != "DEL" || told[1].Conf.PrevResult != nil {
		t.Errorf("calls %+v; want ADD, DEL without a result, ADD", told)
	}
	w.mustDel("u1")
	w.wantNothing()
}

// What podrt has locked for an addition is still the pod's directory after the
// addition has taken back what was there.
func TestLockStays(t *testing.T) {
	w := newWorld(t)
	w.conf("1.0.0", "net", plainPlugin, testPlugin)
	w.behave("ADD", "fail")
	w.behave("DEL", "fail")
	a := w.pod("u1", "net")
	_, _, err := w.Add(context.Background(), a)
	wantError(t, err, "no luck")
	w.behave("ADD", "")
	w.behave("DEL", "")
	path := netsetup.CNIPodDir(w.CacheDir, "u1")
	dir, err := os.Open(path) // so that its number is not given again
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	w.mustAdd(a)
	was, err := dir.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if is, err := os.Stat(path); err != nil || !os.SameFile(was, is) {
		t.Errorf("%q is another directory: %v", path, err)
	}
	w.mustDel("u1")
	w.wantNothing()
}

func TestGC(t *testing.T) {
	w := newWorld(t)
	w.conf("1.1.0", "own", testPlugin)
	w.conf("1.0.0", "net", plainPlugin, testPlugin)
	for _, uid := range []string{"u1", "u2", "u3"} {
		w.mustAdd(w.pod(uid, "net"))
	}
	live := func(uids ...string) func(string) bool {
		return func(uid string) bool { return strings.Contains(strings.Join(uids, " "), uid) }
	}
	ctx := context.Background()
	if err := w.GC(ctx, live("u1", "u3"), "net"); err != nil {
		t.Error(err)
	}
	if told := calls(t, w.plugin, "DEL", "GC"); len(told) != 1 || told[0].Command != "DEL" || told[0].ContainerID != "u2" {
		t.Errorf("calls %+v; want DEL of u2, and no GC before 1.1", told)
	}
	// The configuration has become one of 1.1.
	w.conf("1.1.0", "net", testPlugin)
	if err := w.GC(ctx, live("u1"), "net", "own"); err != nil {
		t.Error(err)
	}
	told := calls(t, w.plugin, "GC")
	if len(told) != 2 || compact(t, told[0].Conf.Valid) != `[{"containerID":"u1","ifname":"eth0"}]` || compact(t, told[1].Conf.Valid) != `[]` {
		t.Errorf("calls %+v; want GC with u1 valid, and with none", told)
	}
	if err := w.Status(ctx, "own"); err != nil {
		t.Error(err)
	}
	w.behave("STATUS", "fail")
	w.behave("GC", "fail")
	wantError(t, w.Status(ctx, "own"), `CNI network "own" is not ready: no luck; today`)
	wantError(t, w.GC(ctx, live(), "own"), `collect garbage of CNI network "own"`, "no luck; today")
	w.wantNothing()
}
