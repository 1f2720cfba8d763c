package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// runtimeUnderTest is an OCI runtime of which the suite believes that it is
// runc: some of its tests know the name of the program.
type runtimeUnderTest struct {
	name string
	path string // base name runc
}

// fileRun is one file, run in one place with one runtime.
type fileRun struct {
	File    string        `json:"file"`
	Rung    string        `json:"rung"`
	Runtime string        `json:"runtime"`
	Results []result      `json:"results"`
	Took    time.Duration `json:"took"` // ns
	// Broken says why there may be fewer results than tests.
	Broken string `json:"broken,omitempty"`
}

// job is a fileRun to be done; only restricts it to the tests of these names.
type job struct {
	file    string
	runtime runtimeUnderTest
	place   place
	only    []string
}

// runner does jobs.
type runner struct {
	suite  *suite
	rung   string // the command
	logDir string // takes what bats wrote, a file per job
	shards int
}

// runAll does the jobs, as many side by side as the runner has shards, and
// tells done of each as it ends.
func (r *runner) runAll(ctx context.Context, jobs []job, done func(*fileRun)) ([]*fileRun, error) {
	runs := make([]*fileRun, len(jobs))
	errs := make([]error, len(jobs))
	next := make(chan int)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range r.shards {
		wg.Go(func() {
			for i := range next {
				runs[i], errs[i] = r.run(ctx, jobs[i])
				if errs[i] == nil {
					mu.Lock()
					done(runs[i])
					mu.Unlock()
				}
			}
		})
	}
	for i := range jobs {
		if ctx.Err() != nil {
			errs[i] = ctx.Err()
			continue
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return runs, errors.Join(errs...)
}

// run does a job in a rung of its own.
func (r *runner) run(ctx context.Context, j job) (_ *fileRun, retErr error) {
	ctx, cancel := context.WithTimeout(ctx, j.place.limit)
	defer cancel()
	// Some tests fail without a terminal, or when standard input ends.
	stdin, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer hold.Close()
	defer stdin.Close()
	name := strings.Join([]string{j.place.name, j.runtime.name, j.file}, "-") + ".log"
	log, err := os.OpenFile(filepath.Join(r.logDir, name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() { retErr = errors.Join(retErr, log.Close()) }()
	start, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	args := append(append([]string{r.rung}, j.place.rung...), "sh", "-c", r.script(j))
	if j.place.onOneCPU {
		cpu, err := firstCPU()
		if err != nil {
			return nil, err
		}
		args = append([]string{"taskset", "--cpu-list", strconv.Itoa(cpu)}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	// The rung ends what runs in it.
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = time.Minute
	cmd.Dir = r.suite.dir
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, log, log
	began := time.Now()
	runErr := cmd.Run()
	took := time.Since(began)
	if _, err := log.Seek(start, io.SeekStart); err != nil {
		return nil, err
	}
	said, err := io.ReadAll(log)
	if err != nil {
		return nil, err
	}
	text, left, looked := cutLeft(string(said))
	results, planned := parseTAP(text)
	run := &fileRun{File: j.file, Rung: j.place.name, Runtime: j.runtime.name, Results: results, Took: took}
	switch exit := (*exec.ExitError)(nil); {
	case planned > 0 && len(results) == planned:
	case ctx.Err() != nil:
		run.Broken = fmt.Sprintf("broke off after %v: %v", took.Round(time.Second), ctx.Err())
	case runErr != nil && !errors.As(runErr, &exit):
		return nil, runErr
	default:
		run.Broken = fmt.Sprintf("%d of %d tests ran (%v): see %s", len(results), planned, runErr, log.Name())
	}
	if looked && (len(j.only) == 0 || slices.Contains(j.only, tidy)) {
		run.Results = append(run.Results, tidyResult(left))
	}
	return run, nil
}

// firstCPU is the first processor that this process may run on.
func firstCPU() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, fmt.Errorf("sched_getaffinity: %w", err)
	}
	cpu := 0
	for !set.IsSet(cpu) {
		cpu++
	}
	return cpu, nil
}

// script is what runs in the rung.
func (r *runner) script(j job) string {
	bats := fmt.Sprintf("bats --formatter tap --timing %s %s", filter(j.only), shellQuote(r.suite.path(j.file+".bats")))
	env := append([]string{
		"HOME=/root", "TERM=xterm", "SHELL=/bin/sh", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"TMPDIR=" + j.place.tmp, "RUNC=" + j.runtime.path,
	}, j.place.env...)
	for i, e := range env {
		env[i] = shellQuote(e)
	}
	lines := []string{"umask 022", "mkdir -p " + j.place.tmp, "chmod 1777 " + j.place.tmp}
	if j.place.setUp != "" {
		lines = append(lines, j.place.setUp)
	}
	lines = append(lines, noteBefore, "{ "+j.place.asUser+" env -i "+strings.Join(env, " ")+" script -qefc "+shellQuote(bats)+" /dev/null; code=$?; "+tellLeft+"; exit $code; }")
	return strings.Join(lines, " && ")
}

// filter is the flag that has bats run the tests of these names only.
func filter(names []string) string {
	if len(names) == 0 || slices.Contains(names, tidy) {
		return ""
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quoteERE(name)
	}
	return "--filter " + shellQuote("^("+strings.Join(quoted, "|")+")$")
}

// quoteERE makes an extended regular expression (regex(7)) that matches s.
func quoteERE(s string) string {
	var b strings.Builder
	for _, c := range s {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, c) {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
