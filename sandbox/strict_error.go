package sandbox

import (
	"errors"
	"fmt"
	"strings"
)

// maxProblems bounds what is reported of one file: a file of a megabyte can
// hold a hundred thousand mistakes.
const maxProblems = 32

// maxLine bounds a path and a problem, in bytes.
const maxLine = 512

// FieldError is one thing wrong in a JSON file of a bundle.
type FieldError struct {
	File    string // path of the file; empty for a spec that was in none
	Path    string // field, such as containers[1].name; empty for the whole
	Problem string // such as: "a/b": must match [a-z]+

	shape bool // found before any value was looked at
}

// Unwrap returns ErrInvalidJSON where the file is not JSON, or not of that shape.
func (e *FieldError) Unwrap() error {
	if e.shape {
		return ErrInvalidJSON
	}
	return nil
}

func (e *FieldError) Error() string {
	var b strings.Builder
	for _, s := range []string{e.File, e.Path} {
		if s != "" {
			b.WriteString(s)
			b.WriteString(": ")
		}
	}
	b.WriteString(e.Problem)
	return b.String()
}

// problems collects the FieldErrors of one file in the order in which they are
// found.
type problems struct {
	file     string
	list     []*FieldError
	more     int
	decoding bool // what is found now is of the file's shape
}

// addf records a problem of the field at path. A field has one problem: a later
// one of it, or of what is below it, would follow from the first.
func (ps *problems) addf(path, format string, args ...any) {
	for _, e := range ps.list {
		if p := e.Path; p != "" && strings.HasPrefix(path, p) && (path == p || path[len(p)] == '.' || path[len(p)] == '[') {
			return
		}
	}
	if len(ps.list) == maxProblems {
		ps.more++
		return
	}
	problem := fmt.Sprintf(format, args...)
	ps.list = append(ps.list, &FieldError{File: ps.file, Path: shorten(path, maxLine), Problem: shorten(problem, maxLine), shape: ps.decoding})
}

// err returns all problems joined, one per line, or nil.
func (ps *problems) err() error {
	errs := make([]error, 0, len(ps.list)+1)
	for _, e := range ps.list {
		errs = append(errs, e)
	}
	if ps.more > 0 {
		errs = append(errs, &FieldError{File: ps.file, Problem: fmt.Sprintf("%d more errors", ps.more)})
	}
	return errors.Join(errs...)
}

// memberPath is the path of an object's member: a.b, or a["b c"] for a key that is
// not like an identifier.
func memberPath(path, key string) string {
	plain := key != "" && len(key) <= 64
	for i := 0; plain && i < len(key); i++ {
		plain = isAlnum(key[i]) || key[i] == '_'
	}
	switch {
	case !plain:
		return path + "[" + quoteShort(key) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

func indexPath(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
