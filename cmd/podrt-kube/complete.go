package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// completeVerb is the verb by which podrt asks how a command line can go on, for
// what it passes on to this program.
const completeVerb = "__complete"

// complete prints what the last of the words can become, in the form of podrt's: a
// line that says whether it is a path, then for each candidate the whole word, a tab
// and what it is.
func (e *env) complete(words []string) error {
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	cur := words[len(words)-1]
	c := &command{sub: verbs()}
	before := words[:len(words)-1]
	for len(before) > 0 && c.sub != nil {
		var next *command
		for _, sub := range c.sub {
			if sub.name == before[0] {
				next = sub
			}
		}
		if next == nil {
			break
		}
		c, before = next, before[1:]
	}
	paths, candidates := "", [][2]string{}
	switch {
	case c.sub != nil && len(before) == 0:
		for _, sub := range c.sub {
			candidates = append(candidates, [2]string{sub.name, sub.usage})
		}
	case c.sub != nil: // a word that is no verb
	case strings.HasPrefix(cur, "-"):
		f := newFlags("")
		if c.flags != nil {
			c.flags(f)
		}
		f.VisitAll(func(fl *flag.Flag) {
			_, usage := flag.UnquoteUsage(fl)
			candidates = append(candidates, [2]string{strings.Repeat("-", min(len(fl.Name), 2)) + fl.Name, usage})
		})
	case strings.HasPrefix(c.args, "<image>"):
		candidates = e.imageNames()
	default:
		paths = "files"
	}
	if _, err := fmt.Fprintln(e.stdout, paths); err != nil {
		return err
	}
	for _, word := range candidates {
		if strings.HasPrefix(word[0], cur) {
			if _, err := fmt.Fprintf(e.stdout, "%s\t%s\n", word[0], word[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// imageNames are those of the images in the store. What cannot be read is left out:
// who completes a line has no place for errors.
func (e *env) imageNames() (names [][2]string) {
	if _, err := os.Lstat(filepath.Join(e.store.LibRoot, "images")); err != nil {
		return nil // and none is made for it
	}
	s, err := e.images()
	if err != nil {
		return nil
	}
	images, _ := s.List()
	for _, img := range images {
		for _, name := range img.Names {
			names = append(names, [2]string{name, img.Digest.String()})
		}
	}
	return names
}
