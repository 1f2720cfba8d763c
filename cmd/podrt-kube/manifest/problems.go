package manifest

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// problems collects what is wrong with an object, by the path of the field.
type problems struct {
	in   string // what all of them are in, such as `web.yaml: Pod "web"`
	errs []error
}

// addf adds a problem of the field at path; "" is of the object as a whole.
func (p *problems) addf(path, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if path != "" {
		msg = path + ": " + msg
	}
	if p.in != "" {
		msg = p.in + ": " + msg
	}
	p.errs = append(p.errs, errors.New(msg))
}

func (p *problems) err() error { return errors.Join(p.errs...) }

// maxShown is how many bytes of a value a message shows.
const maxShown = 120

// quote is s in quotes, shortened.
func quote(s string) string {
	if len(s) <= maxShown {
		return strconv.Quote(s)
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strconv.Quote(s[:cut]) + "…"
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func key(path, k string) string { return path + "[" + strconv.Quote(k) + "]" }
