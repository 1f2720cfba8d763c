package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// command is a verb, or with sub a group of verbs. A verb's constructor holds
// the variables that its flags and its run function share.
type command struct {
	name   string
	usage  string // one line
	args   string // arguments in the synopsis; what they mean below
	about  string
	hidden bool

	flags   func(*flags)
	inOrder bool // the first argument ends the flags
	min     int  // number of arguments
	max     int  // -1: any

	// starts is of a verb that starts processes of containers: what it ends with
	// when podrt cannot.
	starts func(*env, error) error
	run    func(e *env, args []string) error
	sub    []*command

	elsewhere bool // it is podrt-kube's: see elsewhere.go
}

// asItIs is starts of a verb whose errors have no prefix.
func asItIs(_ *env, err error) error { return err }

// exitStatus ends podrt with the exit status of a container's process. It is
// no failure of podrt's: nothing is printed.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// exitError is a failure with another exit status than 1.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usageError is a command line that cannot be.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// run executes a command line and returns the exit status.
func run(argv []string) int {
	e := newEnv(argv)
	err := e.execute(argv[1:])
	var status exitStatus
	if err == nil || errors.As(err, &status) {
		return int(status)
	}
	e.log.fail(err)
	var failure *exitError
	if errors.As(err, &failure) {
		return failure.status
	}
	return 1
}

// execute parses the global flags, sets the logger up and runs the verb.
func (e *env) execute(args []string) error {
	f := newFlags()
	e.globalFlags(f)
	var version bool
	f.Bool(&version, "version, v", versionUsage)
	args, err := f.parse(args, true)
	if err != nil {
		fmt.Fprintf(e.stdout, "Incorrect Usage. %s\n\n", err)
		e.appHelp(f)
		return &usageError{err}
	}
	if f.help {
		e.appHelp(f)
		return nil
	}
	if version {
		e.printVersion()
		return nil
	}
	if err := e.setup(); err != nil {
		return err
	}
	if len(args) == 0 || args[0] == "" {
		e.appHelp(f)
		return nil
	}
	if isHelp(args[0]) {
		return e.help(verbs(), e.prog, args[1:], func() { e.appHelp(f) })
	}
	return e.dispatch(verbs(), e.prog, args)
}

// dispatch runs the verb args[0] of a table; path is the command line up to it.
func (e *env) dispatch(table []*command, path string, args []string) error {
	c := find(table, args[0])
	if c == nil {
		return noTopic(args[0])
	}
	path += " " + c.name
	if c.elsewhere {
		return e.runElsewhere(c, path, args)
	}
	if c.sub != nil {
		return e.group(c, path, args[1:])
	}
	f := newFlags()
	if c.flags != nil {
		c.flags(f)
	}
	args, err := f.parse(args[1:], c.inOrder)
	if err != nil {
		fmt.Fprintf(e.stdout, "Incorrect Usage: %s\n\n", err)
		e.commandHelp(c, path, f)
		return &usageError{err}
	}
	if f.help {
		e.commandHelp(c, path, f)
		return nil
	}
	if err := c.checkArgs(len(args)); err != nil {
		fmt.Fprintf(e.stdout, "Incorrect Usage.\n\n")
		e.commandHelp(c, path, f)
		return &usageError{err}
	}
	if c.starts == nil {
		runtime.UnlockOSThread()
	} else if err := executeSealed(); err != nil {
		return c.starts(e, err)
	}
	return c.run(e, args)
}

func (e *env) group(c *command, path string, args []string) error {
	f := newFlags()
	args, err := f.parse(args, true)
	switch {
	case err != nil:
		fmt.Fprintf(e.stdout, "Incorrect Usage: %s\n\n", err)
		e.groupHelp(c, path)
		return &usageError{err}
	case f.help || len(args) == 0:
		e.groupHelp(c, path)
		return nil
	case isHelp(args[0]):
		return e.help(c.sub, path, args[1:], func() { e.groupHelp(c, path) })
	}
	return e.dispatch(c.sub, path, args)
}

func find(table []*command, name string) *command {
	for _, c := range table {
		if c.name == name {
			return c
		}
	}
	return nil
}

func noTopic(name string) error {
	return &exitError{status: 3, err: &usageError{fmt.Errorf("No help topic for '%s'", name)}}
}

func (c *command) checkArgs(n int) error {
	what := ""
	switch {
	case c.min == c.max && n != c.min:
		what = fmt.Sprintf("exactly %d", c.min)
	case n < c.min:
		what = fmt.Sprintf("a minimum of %d", c.min)
	case c.max >= 0 && n > c.max:
		what = fmt.Sprintf("a maximum of %d", c.max)
	default:
		return nil
	}
	return fmt.Errorf("%s: %q requires %s argument(s)", os.Args[0], c.name, what)
}
