// Command table writes what every caller of an OCI runtime can do with podrt,
// and with Debian's runc, into integration/README.md: caller, operation,
// result. Run it in the repository's top directory:
//
//	go run ./integration/engines/table
//
// It runs the tests of the packages on the rungs, with go test -json, which
// takes a while; -from reads outputs of go test -json instead. The table's rows
// are subtests, known by their names: TestCALLER/RUNTIME/OPERATION, or
// TestContract/CALLER/ROW where podrt is held against runc call by call. A test
// that skips with a message that begins with "fails: " says that the operation
// is known to fail with the runtime, and why.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run(args []string, log io.Writer) error {
	flags := flag.NewFlagSet("table", flag.ContinueOnError)
	file := flags.String("o", "integration/README.md", "`FILE` that holds the table, between its two marks")
	packages := flags.String("packages", "./integration/engines ./integration/contract", "`PACKAGES` whose tests are the rows")
	rungs := flags.String("rungs", "native vm systemd", "`RUNGS` to run them on; systemd is the VM that boots it, for the tests TestSystemd...")
	from := flags.String("from", "", "`FILES` with the output of go test -json, instead of running it: native=a.json vm=b.json")
	if err := flags.Parse(args); err != nil {
		return err
	}
	t := newTable()
	if *from != "" {
		for _, input := range strings.Fields(*from) {
			rung, name, ok := strings.Cut(input, "=")
			if !ok {
				return fmt.Errorf("-from %q: want RUNG=FILE", input)
			}
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			err = t.read(rung, f)
			f.Close()
			if err != nil {
				return fmt.Errorf("read %q: %w", name, err)
			}
		}
	} else {
		for rung := range strings.FieldsSeq(*rungs) {
			if err := test(t, rung, strings.Fields(*packages), log); err != nil {
				return err
			}
		}
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	whole, err := replace(string(text), versions()+"\n\n"+t.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	if err := os.WriteFile(*file, []byte(whole), 0o644); err != nil {
		return err
	}
	return t.verdict()
}

// test runs the packages' tests on the rung. That some fail is for the table to
// say.
func test(t *table, rung string, packages []string, log io.Writer) error {
	args := append([]string{"test", "-json", "-count=1", "-p=1", "-timeout=60m", "-tags=seccomp netgo osusergo"}, packages...)
	env := []string{"PODRT_RUNG_WANT=" + rung}
	if rung == "systemd" {
		args = append(args, "-run=^TestSystemd")
		env = []string{"PODRT_RUNG_WANT=vm", "PODRT_VM=-systemd"}
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%s: go %s\n", rung, strings.Join(args, " "))
	if err := cmd.Start(); err != nil {
		return err
	}
	err = t.read(rung, out)
	var exit *exec.ExitError
	if werr := cmd.Wait(); werr != nil && !errors.As(werr, &exit) {
		err = errors.Join(err, werr)
	}
	return err
}

// versions are those of the callers' Debian packages.
func versions() string {
	names := []string{"podman", "conmon", "buildah", "containerd", "docker.io", "criu", "runc"}
	out, err := exec.Command("dpkg-query", append([]string{"-W", "-f", "${Package} ${Version}, "}, names...)...).Output()
	if err != nil {
		return "Of unknown versions:"
	}
	return "Debian's " + strings.TrimSuffix(string(out), ", ") + ":"
}
