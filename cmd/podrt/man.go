package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// manCommand writes the man pages, when podrt is built.
func manCommand() *command {
	return &command{
		name:   "man",
		usage:  "write the manual pages to a directory",
		args:   "<directory>",
		hidden: true,
		min:    1, max: 1,
		run: func(e *env, args []string) error {
			global := newFlags()
			e.globalFlags(global)
			global.Bool(new(bool), "version, v", versionUsage)
			write := func(name string, page func(manPage)) error {
				f, err := os.Create(filepath.Join(args[0], name+".8"))
				if err != nil {
					return err
				}
				w := bufio.NewWriter(f)
				page(manPage{w})
				err = w.Flush()
				if cerr := f.Close(); err == nil {
					err = cerr
				}
				return err
			}
			if err := write("podrt", func(p manPage) { p.podrt(global) }); err != nil {
				return err
			}
			return eachVisible(verbs(), "podrt", func(path string, c *command) error {
				return write(strings.ReplaceAll(path, " ", "-"), func(p manPage) { p.verb(path, c) })
			})
		},
	}
}

// eachVisible calls do for each verb that is not hidden, and for those of groups.
func eachVisible(table []*command, path string, do func(path string, c *command) error) error {
	for _, c := range table {
		if c.hidden {
			continue
		}
		if err := do(path+" "+c.name, c); err != nil {
			return err
		}
		if err := eachVisible(c.sub, path+" "+c.name, do); err != nil {
			return err
		}
	}
	return nil
}

// manPage writes a page in the man macros: groff_man(7).
type manPage struct{ w io.Writer }

func (p manPage) podrt(global *flags) {
	p.header("podrt", "run pods and OCI containers")
	p.synopsis("podrt [global options] command [command options] [arguments...]")
	p.section("DESCRIPTION")
	p.text(aboutPodrt)
	p.section("COMMANDS")
	p.commands(verbs(), "podrt")
	p.section("GLOBAL OPTIONS")
	p.options(global)
	for _, s := range [...]struct{ title, text string }{
		{"EXIT STATUS", manStatus}, {"ENVIRONMENT", manEnvironment}, {"FILES", manFiles},
	} {
		p.section(s.title)
		p.list(s.text)
	}
	p.section("EXAMPLE")
	p.text(manExample)
	p.section("SEE ALSO")
	p.line(`.BR runc (8),`)
	p.line(`.BR namespaces (7),`)
	p.line(`.BR cgroups (7)`)
}

func (p manPage) verb(path string, c *command) {
	p.header(strings.ReplaceAll(path, " ", "-"), c.usage)
	synopsis, meaning, _ := strings.Cut(c.args, "\n")
	if c.sub != nil || c.elsewhere {
		synopsis = "command [command options] [arguments...]"
	} else {
		synopsis = "[command options] " + synopsis
	}
	for i, s := range strings.Split(synopsis, " || ") {
		if i > 0 {
			s = "[command options] " + s
		}
		if i == 0 {
			p.synopsis(path + " " + strings.TrimSpace(s))
		} else {
			p.line(".br")
			p.usage(path + " " + strings.TrimSpace(s))
		}
	}
	p.section("DESCRIPTION")
	if c.about == "" && strings.TrimSpace(meaning) == "" {
		p.text(strings.ToUpper(c.usage[:1]) + c.usage[1:] + ".")
	}
	p.text(c.about)
	p.text(meaning)
	switch {
	case c.elsewhere:
	case c.sub != nil:
		p.section("COMMANDS")
		p.commands(c.sub, path)
	default:
		p.section("OPTIONS")
		f := newFlags()
		if c.flags != nil {
			c.flags(f)
		}
		_, _ = f.parse(nil, true)
		p.options(f)
	}
	p.section("SEE ALSO")
	p.line(`.BR podrt (8)`)
}

func (p manPage) line(s string) { fmt.Fprintln(p.w, s) }

func (p manPage) header(name, about string) {
	fmt.Fprintf(p.w, ".TH %s 8 \"\" \"podrt %s\" \"System Administration\"\n", strings.ToUpper(roff(name)), version)
	p.line(".ad l\n.nh")
	p.section("NAME")
	p.line(roff(name) + ` \- ` + roff(about))
}

func (p manPage) section(title string) { p.line(".SH " + title) }

func (p manPage) synopsis(s string) {
	p.section("SYNOPSIS")
	p.usage(s)
}

// usage prints a command line; the words that are typed as they stand are bold.
func (p manPage) usage(s string) {
	words := strings.Split(s, " ")
	n := 0
	for n < len(words) && strings.Trim(words[n], "abcdefghijklmnopqrstuvwxyz") == "" && words[n] != "command" {
		n++
	}
	p.line(".B " + roff(strings.Join(words[:n], " ")))
	if n < len(words) {
		p.line(roff(strings.Join(words[n:], " ")))
	}
}

func (p manPage) commands(table []*command, path string) {
	for _, c := range table {
		if !c.hidden {
			p.line(".TP")
			p.line(`.BR ` + roff(strings.ReplaceAll(path+" "+c.name, " ", "-")) + ` (8)`)
			p.line(roff(c.usage))
		}
	}
}

func (p manPage) options(f *flags) {
	for _, d := range f.defs {
		if d.hidden {
			continue
		}
		names := make([]string, len(d.names))
		for i, n := range d.names {
			names[i] = `\fB` + roff(dashed(n)) + `\fR`
			if d.value != "" {
				names[i] += ` \fI` + roff(d.value) + `\fR`
			}
		}
		p.line(".TP")
		p.line(strings.Join(names, ", "))
		usage := strings.TrimSpace(d.usage)
		if d.def != "" {
			usage += " (default: " + d.def + ")"
		}
		// .IP continues the item where .PP and .RS would end it.
		p.paragraphs(usage, ".IP", ".nf", ".fi")
	}
}

func (p manPage) text(s string) {
	if s = strings.Trim(s, "\n"); s != "" {
		p.line(".PP")
		p.paragraphs(s, ".PP", ".RS 4\n.nf", ".fi\n.RE")
	}
}

// paragraphs prints text as help has it: blank lines between paragraphs, and
// examples indented. The requests stand between paragraphs, and around what is
// printed line by line.
func (p manPage) paragraphs(s, between, literally, filled string) {
	for i, par := range strings.Split(s, "\n\n") {
		if i > 0 {
			p.line(between)
		}
		literal := false
		for line := range strings.SplitSeq(strings.Trim(par, "\n"), "\n") {
			if example := strings.HasPrefix(line, "    ") || strings.HasPrefix(par, "{"); example != literal {
				literal = example
				p.line(map[bool]string{true: literally, false: filled}[literal])
			}
			if literal {
				if !strings.HasPrefix(par, "{") {
					line = strings.TrimPrefix(line, "    ")
				}
				p.line(roff(line))
				continue
			}
			p.line(roff(strings.TrimSpace(line)))
			if strings.HasSuffix(line, ":") && strings.ToUpper(line) == line {
				p.line(".br")
			}
		}
		if literal {
			p.line(filled)
		}
	}
}

// list prints lines "WHAT: MEANING".
func (p manPage) list(s string) {
	for line := range strings.SplitSeq(s, "\n") {
		what, meaning, _ := strings.Cut(line, ": ")
		p.line(".TP\n.B " + roff(what))
		p.line(roff(meaning))
	}
}

// roff escapes text: no request at the start of a line, no escapes in it, and
// dashes that can be copied into a shell (groff_man_style(7)).
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, `^`, `\(ha`, `~`, `\(ti`, "`", `\(ga`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

const manStatus = `0: success
1: podrt failed; the reason is in the log
3: there is no such command
128+N: of run, restore and exec in the foreground: the process was killed by signal N. Otherwise the status is that of the process
255: of exec: the process could not be run
125, 126, 127: of pod run and kube play: the pod could not be run, or its output not be written, a command cannot be executed, a command was not found`

const manEnvironment = `XDG_RUNTIME_DIR: where an ordinary user's containers have their state, in podrt/containers
NOTIFY_SOCKET: socket of a service manager; a container of run is given one, and its READY=1 is passed on; pod run says itself when the pod is ready
LISTEN_FDS: number of descriptors from 3 on that the container is given`

const manFiles = `/run/podrt: state of pods and containers; what is here is gone after a reboot
/var/lib/podrt: images, and the volumes of pods
/var/log/podrt: output of the containers of pods that run in the background`

const manExample = `    # podrt spec --bundle bundle
    # podrt run --bundle bundle name
    # podrt pod run --detach pod-bundle`
