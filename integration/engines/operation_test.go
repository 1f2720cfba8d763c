package engines

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/rung"
)

// ociRuntime is one that engines are tested with.
type ociRuntime struct{ name, path string }

// debianRunc is the runtime that Debian's engines use by themselves.
const debianRunc = "/usr/sbin/runc"

func ociRuntimes() []ociRuntime {
	return []ociRuntime{{"podrt", os.Getenv(binEnv)}, {"runc", debianRunc}}
}

// rungs is where an operation runs: natively if nothing is said.
type rungs int

const (
	native rungs = iota
	inVM
	onBoth
)

func (r rungs) here() bool {
	return r == onBoth || (r == inVM) == (rung.Current() == rung.VM)
}

// operation is something that engine E does by means of a runtime.
type operation[E any] struct {
	name string
	on   rungs
	// runcFails is why it is known to fail, if not always, with Debian's runc;
	// allFail why it is known to fail with every runtime; empty where it works.
	// If what is known to fail works with podrt, the test fails.
	runcFails, allFail string
	do                 func(x *try, e E)
}

// known is why the operation fails with the runtime; empty where it works.
func (o *operation[E]) known(r ociRuntime) string {
	if o.allFail == "" && r.path == debianRunc {
		return o.runcFails
	}
	return o.allFail
}

// compare does the operations with each runtime. setUp makes the engine in a
// lab for one of them. Natively the runtimes are tried side by side: an engine
// has nothing outside its lab. The test has called [rung.Privileged].
func compare[E any](t *testing.T, setUp func(x *try, l *lab) E, operations ...operation[E]) {
	t.Helper()
	here := slices.DeleteFunc(operations, func(o operation[E]) bool { return !o.on.here() })
	if len(here) == 0 {
		t.Skipf("no operation for the rung %q", rung.Current())
	}
	for _, r := range ociRuntimes() {
		t.Run(r.name, func(t *testing.T) {
			if rung.Current() == rung.Native {
				t.Parallel()
			}
			var e E
			started := attempt(t, func(x *try) { e = setUp(x, newLab(x, r)) })
			if len(started) > 0 {
				t.Fatalf("start: %s", strings.Join(started, "\n"))
			}
			for _, o := range here {
				t.Run(o.name, func(t *testing.T) {
					faults := strings.Join(attempt(t, func(x *try) { o.do(x, e) }), "\n")
					switch known := o.known(r); {
					case faults == "" && known != "" && r.path != debianRunc:
						t.Errorf("works; want it to fail, for %s", known)
					case faults != "" && known != "":
						t.Skipf("%s%s\n%s", knownPrefix, known, faults)
					case faults != "":
						t.Error(faults)
					}
				})
			}
		})
	}
}

// oomTries is how often an engine may miss why a container ended.
const oomTries = 4

// knownPrefix begins the message by which the table knows a known failure.
const knownPrefix = "fails: "

// try is an operation being tried. What it holds against the runtime is no
// failure of the test yet: see [operation].
type try struct {
	t      *testing.T
	faults []string
}

// attempt returns what do found wrong. What it makes is cleaned up when t ends.
func attempt(t *testing.T, do func(x *try)) []string {
	x := &try{t: t}
	done := make(chan struct{})
	// Fatalf ends a goroutine.
	go func() {
		defer close(done)
		do(x)
	}()
	<-done
	return x.faults
}

func (x *try) Errorf(format string, args ...any) {
	_, file, line, _ := runtime.Caller(1)
	x.fault(file, line, fmt.Sprintf(format, args...))
}

func (x *try) Fatalf(format string, args ...any) {
	_, file, line, _ := runtime.Caller(1)
	x.fault(file, line, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// must is Fatalf if there is an error.
func (x *try) must(err error) {
	if err != nil {
		_, file, line, _ := runtime.Caller(1)
		x.fault(file, line, err.Error())
		runtime.Goexit()
	}
}

func (x *try) fault(file string, line int, text string) {
	x.faults = append(x.faults, fmt.Sprintf("%s:%d: %s", file[strings.LastIndexByte(file, '/')+1:], line, text))
}

func (x *try) Logf(format string, args ...any) { x.t.Helper(); x.t.Logf(format, args...) }

// Cleanup has f called at the operation's end, or the engine's if setUp calls
// it. There the test itself is at hand.
func (x *try) Cleanup(f func(t *testing.T)) { x.t.Cleanup(func() { f(x.t) }) }

// eventually waits until is returns true: for what no event tells.
func (x *try) eventually(what string, is func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit())
	defer cancel()
	for pause := time.Millisecond; !is(); pause = min(2*pause, 100*time.Millisecond) {
		select {
		case <-ctx.Done():
			_, file, line, _ := runtime.Caller(1)
			x.fault(file, line, "in vain waited for: "+what)
			runtime.Goexit()
		case <-time.After(pause):
		}
	}
}
