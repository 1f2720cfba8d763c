// Command bench measures podrt side by side with runc, crun and podman, and
// with the kernel's floor: floor/, a C program that makes the bare system
// calls and nothing else.
//
//	go run ./integration/bench [-rounds N] [-cases REGEXP] [-quick] [-commit]
//
// One run measures everything. Each case sets its stage once; then round by
// round every subject does its work once, in an order that changes from round
// to round, so that what disturbs the machine disturbs them alike. What counts
// is the median, and what is compared is medians of the same run. A subject's
// time is that of its processes, from fork to the last one's end, as a caller
// sees it.
//
// What it takes: bin/podrt and bin/rung, gcc for the floor, the Go proxy or
// cache for runc (the release whose libcontainer podrt links, built static, with
// seccomp), and where they are installed Debian's crun, podman, CNI plugins and
// strace; netavark, podman's program for networks, is unpacked by make. It
// runs on the native rung (../rung), in private namespaces with pure cgroup v2.
//
// The results go to standard output as tables, and to bin/bench as results.json,
// results.svg and results.md; with -commit, as make bench has it, also to docs/.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/podrt/podrt/integration/rung"
)

// options are the command line.
type options struct {
	rounds int
	cases  string
	quick  bool
	list   bool
	json   string
	svg    string
	md     string
	commit bool
	rung   string
	pause  time.Duration
	with   builds
	inside bool // on the rung; only this program says so to itself
}

// Where the results are that the README shows, from the repository's root.
const (
	committedPlot = "docs/bench.svg"
	committedJSON = "docs/bench.json"
	committedPage = "docs/bench.md"
)

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 21, "measurements per subject; slow cases make fewer")
	flag.StringVar(&o.cases, "cases", "", "run only the cases that match `REGEXP`")
	flag.BoolVar(&o.quick, "quick", false, "three rounds at most, to see that all works")
	flag.BoolVar(&o.list, "list", false, "name the cases and end")
	flag.StringVar(&o.json, "json", "bin/bench/results.json", "write all results to `FILE`")
	flag.StringVar(&o.svg, "svg", "bin/bench/results.svg", "write the plot to `FILE`")
	flag.StringVar(&o.md, "md", "bin/bench/results.md", "write the tables as Markdown to `FILE`")
	flag.BoolVar(&o.commit, "commit", false, "write the results also to "+committedPage+", "+committedJSON+" and "+committedPlot)
	flag.StringVar(&o.rung, "rung", "native", "native: private namespaces; here: none, on a host with unified cgroup v2")
	flag.DurationVar(&o.pause, "pause", 20*time.Millisecond, "idle time before each measurement: callers do not come in a burst")
	flag.Var(&o.with, "with", "another build of podrt to measure beside this one, as `NAME=PATH`; may be repeated")
	flag.BoolVar(&o.inside, "inside", false, "for the program's own use")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "bench: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	if o.quick {
		o.rounds = min(o.rounds, 3)
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: must be at least 1", o.rounds)
	}
	only, err := regexp.Compile(o.cases)
	if err != nil {
		return fmt.Errorf("-cases: %w", err)
	}
	if o.list {
		for _, c := range cases() {
			fmt.Printf("%-12s %s\n", c.name, c.about)
		}
		fmt.Printf("%-12s %s\n%-12s %s\n", "memory", "what idle pods and the pod init take", "counts", "system calls and page faults of some operations")
		return nil
	}
	root, err := rung.ModuleRoot()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("needs root: it makes containers")
	}
	if !o.inside {
		if err := compile(root); err != nil {
			return err
		}
		if o.rung == "native" {
			return climb(root)
		}
		if o.rung != "here" {
			return fmt.Errorf("-rung %q: must be native or here", o.rung)
		}
	}
	return measure(o, root, only)
}

// measure does the work of run, on the rung.
func measure(o *options, root string, only *regexp.Regexp) (retErr error) {
	l, err := newLab(root, o)
	if err != nil {
		return err
	}
	defer func() { retErr = errors.Join(retErr, l.close()) }()

	res := &results{Started: time.Now().UTC(), Machine: describe(l)}
	fmt.Print(res.Machine, "\n")
	for _, c := range cases() {
		if !only.MatchString(c.name) {
			continue
		}
		res.Machine.Parallel = append(res.Machine.Parallel, parallel())
		rows, skipped, err := l.runCase(c, o.rounds)
		if err != nil {
			return fmt.Errorf("case %q: %w", c.name, err)
		}
		res.Rows = append(res.Rows, rows...)
		for _, s := range skipped {
			fmt.Printf("%s: skipped %s\n", c.name, s)
			res.Skipped = append(res.Skipped, c.name+": "+s)
		}
		printRows(os.Stdout, c, rows)
	}
	if only.MatchString("memory") {
		if res.Facts, err = l.memory(o.rounds); err != nil {
			return fmt.Errorf("case %q: %w", "memory", err)
		}
		printFacts(os.Stdout, res.Facts)
	}
	if only.MatchString("counts") {
		var skipped string
		if res.Counts, skipped, err = l.counts(); err != nil {
			return fmt.Errorf("case %q: %w", "counts", err)
		}
		if skipped != "" {
			fmt.Println("counts: skipped:", skipped)
			res.Skipped = append(res.Skipped, "counts: "+skipped)
		}
		printCounts(os.Stdout, res.Counts)
	}
	res.Targets = judge(res)
	printTargets(os.Stdout, res.Targets)
	res.Machine.LoadEnd = loadAverage()
	res.Machine.Parallel = append(res.Machine.Parallel, parallel())
	fmt.Print("\n", res.Machine)

	if err := res.write(l.path(o.json), l.path(o.svg), l.path(o.md)); err != nil || !o.commit {
		return err
	}
	return res.write(l.path(committedJSON), l.path(committedPlot), l.path(committedPage))
}
