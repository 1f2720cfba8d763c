package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// completeVerb is the verb by which the shells' functions ask what can follow.
// They hold no words of their own, so that they are never older than podrt.
const completeVerb = "__complete"

// completeCommand prints how the last of the words of a command line can go on:
// first a line that says whether it is a path ("files", "directories" or
// nothing), then for each candidate the whole word, a tab and what it is.
func completeCommand() *command {
	return &command{
		name:   completeVerb,
		usage:  "(internal) print how a command line can go on",
		hidden: true,
		max:    -1, inOrder: true,
		run: func(e *env, args []string) error {
			if verb := e.elsewhere(args); verb != nil {
				if err := e.executeElsewhere(append([]string{completeVerb, "--"}, verb...)); !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			c := e.complete(args)
			fmt.Fprintln(e.stdout, c.paths)
			for _, w := range c.words {
				fmt.Fprintf(e.stdout, "%s\t%s\n", w.text, w.about)
			}
			return nil
		},
	}
}

// Paths that a shell completes itself.
const (
	files       = "files"
	directories = "directories"
)

// completions are what a word can become.
type completions struct {
	paths string
	words []candidate
}

type candidate struct{ text, about string }

// of makes candidates that need no explanation.
func of(words string) completions {
	c := completions{}
	for w := range strings.FieldsSeq(words) {
		c.words = append(c.words, candidate{text: w})
	}
	return c
}

// beginning keeps what begins with prefix.
func (c completions) beginning(prefix string) completions {
	kept := completions{paths: c.paths}
	for _, w := range c.words {
		if strings.HasPrefix(w.text, prefix) {
			kept.words = append(kept.words, w)
		}
	}
	return kept
}

// complete returns what the last word can become, given those before it. The
// words are those behind the program's name.
func (e *env) complete(words []string) completions {
	if len(words) == 0 {
		words = []string{""}
	}
	cur := words[len(words)-1]
	l := completionLine{flags: newFlags(), before: words[:len(words)-1]}
	e.globalFlags(l.flags)
	_, _ = l.flags.parse(nil, true) // adds --help
	l.flags.Bool(new(bool), "version, v", versionUsage)
	c, done := l.walk(cur, true, e.words)
	if done {
		return c.beginning(cur)
	}
	// The roots are where containers and pods are looked for.
	_ = e.setupRoots()

	cmd := &command{sub: verbs()}
	for len(l.args) > 0 {
		if isHelp(l.args[0]) {
			l.args = l.args[1:]
			continue
		}
		if cmd = find(cmd.sub, l.args[0]); cmd == nil {
			return completions{}
		}
		l = completionLine{flags: newFlags(), before: l.args[1:]}
		if cmd.flags != nil {
			cmd.flags(l.flags)
		}
		_, _ = l.flags.parse(nil, true)
		inOrder := cmd.inOrder || cmd.sub != nil
		if c, done = l.walk(cur, inOrder, e.words); done {
			return c.beginning(cur)
		}
		if cmd.sub == nil {
			return e.argument(cmd, l.args).beginning(cur)
		}
	}
	for _, sub := range cmd.sub {
		if !sub.hidden {
			c.words = append(c.words, candidate{sub.name, sub.usage})
		}
	}
	c.words = append(c.words, candidate{"help", "show the help of a command"})
	return c.beginning(cur)
}

// completionLine is a part of a command line up to the word to be completed.
type completionLine struct {
	flags  *flags
	before []string
	args   []string // set by walk: what is no flag
}

// walk sets the flags that are given, and finds the arguments; with inOrder the
// first one ends the flags. It reports done if cur is a flag or a flag's value.
func (l *completionLine) walk(cur string, inOrder bool, value func(flag string) completions) (c completions, done bool) {
	for i := 0; i < len(l.before); i++ {
		word := l.before[i]
		if word == "--" {
			l.args = append(l.args, l.before[i+1:]...)
			return c, false
		}
		known, takesValue := l.flags.lookup(word)
		switch {
		case known && takesValue && i+1 == len(l.before):
			return value(l.flags.longName(word)), true
		case known && takesValue:
			i++
			_ = l.flags.set.Set(flagName(word), l.before[i])
		case known:
			name, v, ok := strings.Cut(flagName(word), "=")
			if !ok {
				v = "true"
			}
			_ = l.flags.set.Set(name, v)
		case inOrder && strings.HasPrefix(word, "-"): // no flag, and no argument either
		case inOrder:
			l.args = l.before[i:]
			return c, false
		default:
			l.args = append(l.args, word)
		}
	}
	if !strings.HasPrefix(cur, "-") {
		return c, false
	}
	if flag, _, ok := strings.Cut(cur, "="); ok {
		c = value(l.flags.longName(flag))
		for i := range c.words {
			c.words[i].text = flag + "=" + c.words[i].text
		}
		return c, true
	}
	for _, d := range l.flags.defs {
		for _, name := range d.names {
			if !d.hidden {
				about, _, _ := strings.Cut(d.usage, "\n")
				c.words = append(c.words, candidate{dashed(name), about})
			}
		}
	}
	return c, true
}

func flagName(word string) string {
	return strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
}

// dashed is how a flag is written: -x and --xyz.
func dashed(name string) string { return strings.Repeat("-", min(len(name), 2)) + name }

// longName is the first name of the flag that word is, or empty.
func (f *flags) longName(word string) string {
	name := flagName(word)
	for _, d := range f.defs {
		for _, n := range d.names {
			if n == name {
				return d.names[0]
			}
		}
	}
	return ""
}
