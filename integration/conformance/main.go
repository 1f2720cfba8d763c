// Command conformance runs runc's own test suite, of the very module whose
// libcontainer podrt links, with podrt as the runtime and with runc itself, and
// says side by side what passes.
//
//	go run ./integration/conformance [-rung NAMES|all] [-files A,B] [-runtimes podrt,runc]
//
// Whatever runc passes podrt has to pass, else the exit code is 1; exceptions.go
// lists what it need not, and why. A test that differs is run once more, alone
// and with both runtimes, before it counts: the suite has races of its own.
//
// With -baseline FILE only podrt is run, and compared with what runc came to when
// -write-baseline wrote the file; runc is then run where they differ.
//
// Each file of the suite runs in a rung (../cmd/rung) of its own, so that nothing
// that a test leaves reaches the next file.
//
// What it takes: bin/podrt, bin/rung, bin/tools/runc, and from Debian bats, jq,
// gawk, gcc, script(1), busybox-static, sshfs and criu.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// options are the command line.
type options struct {
	rung          string
	files         string
	runtimes      string
	shards        int
	json          string
	baseline      string
	writeBaseline string
	work          string
}

func main() {
	var o options
	flag.StringVar(&o.rung, "rung", "native", "`NAMES` of "+strings.Join(placeNames, ", ")+", or all")
	flag.StringVar(&o.files, "files", "", "run only these `FILES` of the suite, such as run,exec")
	flag.StringVar(&o.runtimes, "runtimes", "podrt,runc", "`RUNTIMES` to run it with")
	flag.IntVar(&o.shards, "shards", 2, "number of files to run side by side")
	flag.StringVar(&o.json, "json", "", "write all results to `FILE`")
	flag.StringVar(&o.baseline, "baseline", "", "compare with what `FILE` says of runc instead of running it")
	flag.StringVar(&o.writeBaseline, "write-baseline", "", "write what runc came to, to `FILE`, for -baseline; for one rung")
	flag.StringVar(&o.work, "work", "bin/conformance", "`DIRECTORY` for the suite, the runtimes and the logs, made anew")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "conformance: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	root, err := rung.ModuleRoot()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root: it makes containers")
	}
	if o.shards < 1 {
		return fmt.Errorf("-shards %d: must be at least 1", o.shards)
	}
	dir := filepath.Join(root, o.work)
	if filepath.IsAbs(o.work) {
		dir = o.work
	}
	unlock, err := takeDir(dir)
	if err != nil {
		return err
	}
	defer unlock()
	s, err := prepare(root, filepath.Join(dir, "suite"))
	if err != nil {
		return err
	}
	p, err := newPlan(o, root, dir, s)
	if err != nil {
		return err
	}
	r := &runner{suite: s, rung: filepath.Join(root, "bin/rung"), logDir: filepath.Join(dir, "log"), shards: o.shards}
	if err := os.MkdirAll(r.logDir, 0o755); err != nil {
		return err
	}
	rep := &report{Runc: s.version}
	if rep.Runs, err = r.runAll(ctx, p.jobs, say); err != nil {
		return err
	}
	if p.baseline != nil {
		rep.Runs = append(rep.Runs, p.baseline.of(rep.Runs)...)
	}
	if err := rep.compare(ctx, r, p); err != nil {
		return err
	}
	if o.writeBaseline != "" {
		b := &baseline{version: s.version, rung: o.rung, runs: ofRuntime(rep.Runs, peer)}
		if err := b.write(o.writeBaseline); err != nil {
			return err
		}
	}
	if o.json != "" {
		if err := rep.write(o.json); err != nil {
			return err
		}
	}
	return rep.print(os.Stdout)
}

// takeDir makes dir anew, for this process alone until it calls unlock.
func takeDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %q: %w: a run is under way there, take another with -work", dir, err), lock.Close())
	}
	for _, name := range []string{"suite", "log", subject, peer} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	return func() { _ = lock.Close() }, nil
}

// say tells of a run that has ended.
func say(f *fileRun) {
	t := tallyOf(f)
	fmt.Printf("%-6s %-5s %-26s %3d pass %3d fail %3d skip %6.1f s %s\n",
		f.Rung, f.Runtime, f.File, t[pass], t[fail], t[skip], f.Took.Seconds(), f.Broken)
}

// list splits the value of a flag.
func list(s string) []string {
	return strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' })
}
