package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"unicode/utf8"
)

// command is a verb, or with sub a group of verbs. A verb's constructor holds the
// variables that its flags and its run function share.
type command struct {
	name  string
	usage string // one line
	args  string // arguments in the synopsis; what they mean below
	about string

	flags func(*flag.FlagSet)
	min   int // number of arguments
	max   int // -1: any

	// run is called with a context that an interrupt ends.
	run func(ctx context.Context, e *env, args []string) error
	sub []*command
}

// exitStatus ends podrt-kube with that status. Nothing is printed.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// statusError is an error that ends podrt-kube with another status than 1.
type statusError struct {
	error
	status int
}

func (e *statusError) Unwrap() error { return e.error }

// usageError is a command line that cannot be.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// run executes a command line and returns the exit status.
func run(argv []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	err := e.execute(argv[1:])
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintln(stderr, "podrt:", printable(err.Error()))
	var other *statusError
	if errors.As(err, &other) {
		return other.status
	}
	return 1
}

// printable is s, in which registries and layers have their words, without what would
// be a command for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (r == utf8.RuneError || !strconv.IsPrint(r)) {
			return '?'
		}
		return r
	}, s)
}

// execute parses the global flags and runs the verb.
func (e *env) execute(args []string) error {
	f := newFlags("podrt-kube")
	e.globalFlags(f)
	ask := f.Bool("version", false, "print the version")
	err := f.Parse(args)
	top := &command{name: "podrt-kube", usage: "images and Kubernetes' manifests for podrt", sub: verbs()}
	switch {
	case errors.Is(err, flag.ErrHelp), err == nil && f.NArg() == 0 && !*ask:
		e.help(top, "podrt-kube", f)
		return nil
	case err != nil:
		return &usageError{err}
	case *ask:
		_, err := fmt.Fprintf(e.stdout, "podrt-kube version %s\ncommit: %s\n", version, gitCommit)
		return err
	}
	if err := e.setup(f); err != nil {
		return err
	}
	if f.Arg(0) == completeVerb {
		return e.complete(f.Args()[1:])
	}
	// Called by podrt it has its name.
	return e.dispatch(top, "podrt", f.Args())
}

// dispatch runs the verb args[0] of a group; path is the command line up to it.
func (e *env) dispatch(group *command, path string, args []string) error {
	if len(args) > 0 && (args[0] == "help" || args[0] == "h") {
		args = append(args[1:], "--help")
	}
	if len(args) == 0 || args[0] == "--help" || args[0] == "-h" {
		e.help(group, path, nil)
		return nil
	}
	var c *command
	for _, sub := range group.sub {
		if sub.name == args[0] {
			c = sub
		}
	}
	if c == nil {
		return &usageError{fmt.Errorf("%s %s: there is no such command; see %s --help", path, args[0], path)}
	}
	path += " " + c.name
	if c.sub != nil {
		return e.dispatch(c, path, args[1:])
	}
	f := newFlags(path)
	if c.flags != nil {
		c.flags(f)
	}
	args, err := parse(f, args[1:])
	if errors.Is(err, flag.ErrHelp) {
		e.help(c, path, f)
		return nil
	}
	if err == nil && (len(args) < c.min || c.max >= 0 && len(args) > c.max) {
		synopsis, _, _ := strings.Cut(c.args, "\n")
		err = fmt.Errorf("%d arguments; its form is: %s [options] %s", len(args), path, synopsis)
	}
	if err != nil {
		return &usageError{fmt.Errorf("%s: %w", path, err)}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return c.run(ctx, e, args)
}

func newFlags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

// parse sets flags, which may also come behind arguments, up to "--", and returns
// the arguments.
func parse(f *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		n := len(args) - f.NArg()
		if f.NArg() == 0 || n > 0 && args[n-1] == "--" {
			return append(rest, f.Args()...), nil
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

// help prints the help of a verb or a group; path is its command line.
func (e *env) help(c *command, path string, f *flag.FlagSet) {
	w := tabwriter.NewWriter(e.stdout, 1, 8, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintf(w, "NAME:\n   %s - %s\n", path, c.usage)
	if c.sub != nil {
		fmt.Fprintf(w, "\nUSAGE:\n   %s command [command options] [arguments...]\n", path)
	} else {
		fmt.Fprintf(w, "\nUSAGE:\n   %s\n", strings.TrimSpace(path+" [command options] "+c.args))
	}
	if c.about != "" {
		fmt.Fprintf(w, "\nDESCRIPTION:\n   %s\n", c.about)
	}
	if c.sub != nil {
		fmt.Fprintln(w, "\nCOMMANDS:")
		for _, sub := range c.sub {
			fmt.Fprintf(w, "   %s\t%s\n", sub.name, sub.usage)
		}
	}
	if f == nil {
		return
	}
	fmt.Fprintln(w, "\nOPTIONS:")
	f.VisitAll(func(fl *flag.Flag) {
		value, usage := flag.UnquoteUsage(fl)
		name := strings.Repeat("-", min(len(fl.Name), 2)) + fl.Name
		if value != "" {
			name += " " + value
		}
		if fl.DefValue != "" && fl.DefValue != "false" && value != "" {
			usage += fmt.Sprintf(" (default: %q)", fl.DefValue)
		}
		fmt.Fprintf(w, "   %s\t%s\n", name, usage)
	})
	fmt.Fprintln(w, "   --help, -h\tshow help")
}

// stringsValue is a flag that can be given more than once.
type stringsValue []string

func (v *stringsValue) Set(s string) error { *v = append(*v, s); return nil }
func (v *stringsValue) String() string     { return "" }
