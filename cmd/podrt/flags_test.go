package main

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// parsed is what a command line came to.
type parsed struct {
	b    bool
	s    string
	n    int
	list []string
	args []string
	err  string
}

func parseForTest(inOrder bool, args ...string) parsed {
	var p parsed
	f := newFlags()
	f.Bool(&p.b, "force, f", "")
	f.String(&p.s, "bundle, b", "")
	f.Int(&p.n, "preserve-fds", "")
	f.Strings(&p.list, "env, e", "")
	f.Func(func(s string) error {
		if s == "bad" {
			return errors.New("no good")
		}
		return nil
	}, "func", "")
	rest, err := f.parse(args, inOrder)
	if err != nil {
		p.err = err.Error()
	}
	p.args = rest
	return p
}

func TestFlags(t *testing.T) {
	for _, tt := range []struct {
		line []string
		want parsed
	}{
		{[]string{"id"}, parsed{args: []string{"id"}}},
		{[]string{"-f", "id"}, parsed{b: true, args: []string{"id"}}},
		{[]string{"--force", "id"}, parsed{b: true, args: []string{"id"}}},
		{[]string{"-force", "id"}, parsed{b: true, args: []string{"id"}}},
		{[]string{"--f", "id"}, parsed{b: true, args: []string{"id"}}},
		{[]string{"--force=false", "id"}, parsed{args: []string{"id"}}},
		{[]string{"-b", "x", "id"}, parsed{s: "x", args: []string{"id"}}},
		{[]string{"--bundle=x", "id"}, parsed{s: "x", args: []string{"id"}}},
		{[]string{"--bundle", "x", "-bundle", "y"}, parsed{s: "y"}},
		{[]string{"-e", "A=1", "--e=B=2", "-e", "C"}, parsed{list: []string{"A=1", "B=2", "C"}}},
		{[]string{"--preserve-fds", "3"}, parsed{n: 3}},
		{[]string{"--preserve-fds", "0x10"}, parsed{n: 16}},
		// After arguments.
		{[]string{"id", "-f"}, parsed{b: true, args: []string{"id"}}},
		{[]string{"id", "9", "--force"}, parsed{b: true, args: []string{"id", "9"}}},
		{[]string{"id", "-f", "9"}, parsed{b: true, args: []string{"id", "9"}}},
		{[]string{"id", "-b", "x", "9"}, parsed{s: "x", args: []string{"id", "9"}}},
		{[]string{"id", "-b"}, parsed{err: "flag needs an argument: -b"}},
		// What is no flag stays where it is.
		{[]string{"id", "-9"}, parsed{args: []string{"id", "-9"}}},
		{[]string{"-"}, parsed{args: []string{"-"}}},
		{[]string{"-b", "-", "id"}, parsed{s: "-", args: []string{"id"}}},
		{[]string{"id", "--", "-f"}, parsed{args: []string{"id", "-f"}}},
		{[]string{"-f", "--", "-f"}, parsed{b: true, args: []string{"-f"}}},
		{[]string{"-9", "id"}, parsed{err: "flag provided but not defined: -9"}},
		{[]string{"--nope", "id"}, parsed{err: "flag provided but not defined: -nope"}},
		{[]string{"--preserve-fds", "x"}, parsed{err: `invalid value "x" for flag -preserve-fds: parse error`}},
		{[]string{"--preserve-fds", "99999999999999999999"}, parsed{err: `invalid value "99999999999999999999" for flag -preserve-fds: value out of range`}},
		{[]string{"--bundle", "x", "-b", "y"}, parsed{err: "Cannot use two forms of the same flag: b bundle"}},
		{[]string{"--force=x"}, parsed{err: `invalid boolean value "x" for -force: parse error`}},
		{[]string{"--func", "bad"}, parsed{err: `invalid value "bad" for flag -func: no good`}},
	} {
		checkParsed(t, tt.line, parseForTest(false, tt.line...), tt.want)
	}
}

func TestFlagsInOrder(t *testing.T) {
	for _, tt := range []struct {
		line []string
		want parsed
	}{
		{[]string{"-f", "id", "ls", "-f"}, parsed{b: true, args: []string{"id", "ls", "-f"}}},
		{[]string{"id", "-b", "x"}, parsed{args: []string{"id", "-b", "x"}}},
		{[]string{"-b", "x", "id", "--", "y"}, parsed{s: "x", args: []string{"id", "--", "y"}}},
	} {
		checkParsed(t, tt.line, parseForTest(true, tt.line...), tt.want)
	}
}

func checkParsed(t *testing.T, line []string, got, want parsed) {
	t.Helper()
	if got.err != want.err {
		t.Errorf("parse(%q): error %q; want %q", line, got.err, want.err)
		return
	}
	if want.err == "" && (got.b != want.b || got.s != want.s || got.n != want.n ||
		!slices.Equal(got.list, want.list) || !slices.Equal(got.args, want.args)) {
		t.Errorf("parse(%q) = %+v; want %+v", line, got, want)
	}
}

func TestFlagDefaults(t *testing.T) {
	f := newFlags()
	s, n := "table", 0
	format := f.String(&s, "format, f", "how to print")
	number := f.Int(&n, "n", "how many `THINGS` to print")
	if _, err := f.parse([]string{"-f", "json"}, false); err != nil {
		t.Fatal(err)
	}
	if !format.isSet() || number.isSet() {
		t.Errorf("isSet of -f and -n = %t, %t; want true, false", format.isSet(), number.isSet())
	}
	if format.def != `"table"` || number.def != "0" {
		t.Errorf("defaults = %q, %q; want %q, %q", format.def, number.def, `"table"`, "0")
	}
	if number.value != "THINGS" || number.usage != "how many THINGS to print" {
		t.Errorf("value and usage of -n = %q, %q", number.value, number.usage)
	}
}

func TestDurationFlag(t *testing.T) {
	for _, tt := range []struct {
		arg  string
		want time.Duration
		err  string
	}{
		{"--interval=1m30s", 90 * time.Second, ""},
		{"-interval=100ms", 100 * time.Millisecond, ""},
		{"--interval=5", 5 * time.Second, `invalid value "5" for flag -interval: parse error`},
	} {
		got := 5 * time.Second
		f := newFlags()
		d := f.Duration(&got, "interval", "")
		_, err := f.parse([]string{tt.arg}, false)
		if got != tt.want || errorText(err) != tt.err {
			t.Errorf("%s: %v, error %v; want %v, %q", tt.arg, got, err, tt.want, tt.err)
		}
		if d.def != "5s" {
			t.Errorf("default in the help = %q; want 5s", d.def)
		}
	}
}
