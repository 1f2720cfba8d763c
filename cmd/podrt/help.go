package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

const aboutPodrt = `podrt is a command line client for running pods, and applications packaged
according to the Open Container Initiative (OCI) format.

A pod is a set of containers that share namespaces, a cgroup and storage. It is
run from a pod bundle: a directory with "pod.json" and an OCI bundle for each
container.

    # podrt pod run <bundle>

A container alone is run from an OCI bundle: a directory with "config.json" and
a root filesystem. The default bundle is the current directory.

    # podrt run [ -b bundle ] <container-id>`

const aboutRunc = `runc is a command line client for running applications packaged according to
the Open Container Initiative (OCI) format and is a compliant implementation of
the Open Container Initiative specification. This one is podrt.

Containers are configured using bundles. A bundle for a container is a directory
that includes a specification file named "config.json" and a root filesystem.
The root filesystem contains the contents of the container.

To start a new instance of a container:

    # runc run [ -b bundle ] <container-id>`

// appHelp prints the help of podrt itself.
func (e *env) appHelp(global *flags) {
	title, about := "run pods and OCI containers", aboutPodrt
	if e.prog == runc {
		title, about = "Open Container Initiative runtime", aboutRunc
	}
	w := newHelp(e.stdout)
	w.section("NAME", e.prog+" - "+title+"\n\n"+about)
	w.section("USAGE", e.prog+" [global options] command [command options] [arguments...]")
	w.section("VERSION", version)
	w.commands(verbs())
	w.options("GLOBAL OPTIONS", global)
	w.Flush()
}

// commandHelp prints the help of a verb; path is its command line so far.
func (e *env) commandHelp(c *command, path string, f *flags) {
	w := newHelp(e.stdout)
	w.section("NAME", path+" - "+e.named(c.usage))
	w.section("USAGE", strings.TrimSpace(path+" [command options] "+e.named(c.args)))
	if c.about != "" {
		w.section("DESCRIPTION", e.named(c.about))
	}
	w.options("OPTIONS", f)
	w.Flush()
}

// named puts the name under which podrt was called into a text.
func (e *env) named(text string) string { return strings.ReplaceAll(text, "podrt ", e.prog+" ") }

// groupHelp prints the help of a group of verbs.
func (e *env) groupHelp(c *command, path string) {
	w := newHelp(e.stdout)
	w.section("NAME", path+" - "+c.usage)
	w.section("USAGE", path+" command [command options] [arguments...]")
	if c.about != "" {
		w.section("DESCRIPTION", c.about)
	}
	w.commands(c.sub)
	w.Flush()
}

func isHelp(verb string) bool { return verb == "help" || verb == "h" }

// help is the verb of that name, of podrt or of a group; args are the verbs
// that it is asked about, and none prints the help of the whole.
func (e *env) help(table []*command, path string, args []string, whole func()) error {
	args, err := newFlags().parse(args, true)
	if err != nil {
		return &usageError{err}
	}
	if len(args) == 0 {
		whole()
		return nil
	}
	c := find(table, args[0])
	if c == nil {
		return noTopic(args[0])
	}
	path += " " + c.name
	if c.elsewhere {
		return e.runElsewhere(c, path, append(slices.Clone(args), "--help"))
	}
	if c.sub != nil {
		return e.help(c.sub, path, args[1:], func() { e.groupHelp(c, path) })
	}
	f := newFlags()
	if c.flags != nil {
		c.flags(f)
	}
	_, _ = f.parse(nil, true)
	e.commandHelp(c, path, f)
	return nil
}

// helpWriter lays out help as urfave/cli does, which man pages and completions
// of runc are made from.
type helpWriter struct{ *tabwriter.Writer }

func newHelp(w io.Writer) helpWriter {
	return helpWriter{tabwriter.NewWriter(w, 1, 8, 2, ' ', 0)}
}

func (w helpWriter) section(title, text string) {
	if title != "NAME" {
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s:\n   %s\n", title, text)
}

func (w helpWriter) commands(table []*command) {
	fmt.Fprintln(w, "\nCOMMANDS:")
	for _, c := range table {
		if !c.hidden {
			fmt.Fprintf(w, "   %s\t%s\n", c.name, c.usage)
		}
	}
	fmt.Fprintln(w, "   help, h\tShows a list of commands or help for one command")
}

func (w helpWriter) options(title string, f *flags) {
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, d := range f.defs {
		if d.hidden {
			continue
		}
		names := make([]string, len(d.names))
		for i, n := range d.names {
			names[i] = dashed(n)
			if d.value != "" {
				names[i] += " " + d.value
			}
		}
		usage := d.usage
		if d.def != "" {
			usage += " (default: " + d.def + ")"
		}
		fmt.Fprintf(w, "   %s\t%s\n", strings.Join(names, ", "), usage)
	}
}
