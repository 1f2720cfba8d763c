package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/podrt/podrt/integration/vm"
)

// runShards runs the tests that cfg.Args asks a test binary for in n VMs side
// by side, each with its share of them. The first one's output comes as it
// runs, that of the others behind it, whole. The exit code is the first that
// is not 0.
func runShards(ctx context.Context, cfg vm.Config, n int) (int, error) {
	shares, err := shards(ctx, cfg.Args, n)
	if err != nil {
		return 0, err
	}
	if len(shares) <= 1 {
		return vm.Run(ctx, cfg)
	}
	codes, errs := make([]int, len(shares)), make([]error, len(shares))
	outputs := make([]bytes.Buffer, len(shares))
	var all sync.WaitGroup
	for i, tests := range shares {
		one := cfg
		one.Args = withRun(cfg.Args, tests)
		if i > 0 {
			// One buffer for both keeps their order.
			w := &syncWriter{w: &outputs[i]}
			one.Stdout, one.Stderr = w, w
			one.Console = ""
		}
		all.Go(func() { codes[i], errs[i] = vm.Run(ctx, one) })
	}
	all.Wait()
	for i := range outputs {
		if _, err := cfg.Stdout.Write(outputs[i].Bytes()); err != nil {
			return 0, err
		}
	}
	code := 0
	if i := slices.IndexFunc(codes, func(c int) bool { return c != 0 }); i >= 0 {
		code = codes[i]
	}
	return code, errors.Join(errs...)
}

// syncWriter lets two streams write to one buffer.
type syncWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// shards deals the top-level tests that args selects out to at most n hands.
// Without anything to deal it returns none: benchmarks, fuzzing, a listing, a
// pattern for subtests, a command that is no test binary.
func shards(ctx context.Context, args []string, n int) ([][]string, error) {
	if n <= 1 || !strings.HasSuffix(args[0], ".test") {
		return nil, nil
	}
	pattern := "."
	for _, arg := range args[1:] {
		name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch name {
		case "test.bench", "test.fuzz", "test.list":
			if value != "" {
				return nil, nil
			}
		case "test.run":
			pattern = value
		}
	}
	if strings.Contains(pattern, "/") {
		return nil, nil
	}
	out, err := exec.CommandContext(ctx, args[0], "-test.list="+pattern).Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests of %q: %w", args[0], err)
	}
	return deal(string(out), n), nil
}

// deal deals the tests of a listing, a name on each line, out to at most n
// hands.
func deal(listing string, n int) [][]string {
	var names []string
	for name := range strings.Lines(listing) {
		// Benchmarks are listed, too, and not run.
		if name = strings.TrimSpace(name); strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Example") || strings.HasPrefix(name, "Fuzz") {
			names = append(names, name)
		}
	}
	hands := make([][]string, min(n, len(names)))
	for i, name := range names {
		hands[i%n] = append(hands[i%n], name)
	}
	return hands
}

// withRun returns args with the named tests for those to run.
func withRun(args, tests []string) []string {
	args = slices.DeleteFunc(slices.Clone(args), func(arg string) bool {
		return strings.HasPrefix(strings.TrimLeft(arg, "-"), "test.run=")
	})
	return slices.Insert(args, 1, "-test.run=^("+strings.Join(tests, "|")+")$")
}

// selfPath is this program's path, for a command to paste.
func selfPath() string {
	if self, err := os.Executable(); err == nil {
		return self
	}
	return os.Args[0]
}
