package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// flags is a command's set of flags: package flag, with several names for one
// flag, flags that can be repeated, and flags after arguments.
type flags struct {
	set  *flag.FlagSet
	defs []*flagDef
	help bool // --help was given
}

// flagDef is one flag with all its names.
type flagDef struct {
	names  []string // the long one first
	usage  string
	value  string // "" for a switch, else what stands for the value in the help
	def    string // default as the help shows it
	hidden bool
	given  []string // under which names, each time
}

// isSet tells whether the flag was given.
func (d *flagDef) isSet() bool { return len(d.given) > 0 }

func newFlags() *flags {
	f := &flags{set: flag.NewFlagSet("", flag.ContinueOnError)}
	f.set.SetOutput(io.Discard)
	return f
}

// hide keeps the flag out of the help.
func (d *flagDef) hide() { d.hidden = true }

// add registers v under the names, which are separated by ", ".
func (f *flags) add(v flag.Value, names, usage string) *flagDef {
	d := &flagDef{names: strings.Split(names, ", "), usage: usage, def: v.String()}
	if b, ok := v.(interface{ IsBoolFlag() bool }); !ok || !b.IsBoolFlag() {
		d.value = "value"
	}
	// `NAME` in the usage stands for the value, as in package flag.
	if before, rest, ok := strings.Cut(usage, "`"); ok {
		if name, after, ok := strings.Cut(rest, "`"); ok {
			d.value, d.usage = name, before+name+after
		}
	}
	for _, n := range d.names {
		f.set.Var(&tracked{v, d, n}, n, usage)
	}
	f.defs = append(f.defs, d)
	return d
}

// Bool is a switch.
func (f *flags) Bool(p *bool, names, usage string) *flagDef {
	return f.add((*boolValue)(p), names, usage)
}

// String is a text; what p points to is the default.
func (f *flags) String(p *string, names, usage string) *flagDef {
	d := f.add((*stringValue)(p), names, usage)
	if d.def != "" {
		d.def = strconv.Quote(d.def)
	}
	return d
}

// Int is a number.
func (f *flags) Int(p *int, names, usage string) *flagDef {
	return f.add((*intValue)(p), names, usage)
}

// Duration is a time with its unit, as in "1m30s".
func (f *flags) Duration(p *time.Duration, names, usage string) *flagDef {
	return f.add((*durationValue)(p), names, usage)
}

// Strings is a text that can be given more than once.
func (f *flags) Strings(p *[]string, names, usage string) {
	f.add((*stringsValue)(p), names, usage)
}

// Func calls set with each value.
func (f *flags) Func(set func(string) error, names, usage string) {
	f.add(funcValue(set), names, usage)
}

// parse sets the flags and returns the arguments. Unless inOrder is set, flags
// may also come after arguments, up to "--".
func (f *flags) parse(args []string, inOrder bool) ([]string, error) {
	f.add((*boolValue)(&f.help), "help, h", "show help")
	if !inOrder {
		args = f.reorder(args)
	}
	if err := f.set.Parse(args); err != nil {
		return nil, err
	}
	return f.set.Args(), f.checkForms()
}

// checkForms refuses a flag that was given under two of its names: which one
// counts would be a guess.
func (f *flags) checkForms() error {
	for _, d := range f.defs {
		var forms []string
		for _, name := range d.names {
			if slices.Contains(d.given, name) {
				forms = append(forms, name)
			}
		}
		if len(forms) > 1 {
			return fmt.Errorf("Cannot use two forms of the same flag: %s %s", forms[1], forms[0])
		}
	}
	return nil
}

// reorder moves the flags before the arguments. What looks like a flag and is
// none stays where it is: `kill ID -9`.
func (f *flags) reorder(args []string) []string {
	var moved, rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append([]string{"--"}, append(rest, args[i+1:]...)...)
			break
		}
		known, takesValue := f.lookup(arg)
		if !known {
			rest = append(rest, arg)
			continue
		}
		moved = append(moved, arg)
		if !takesValue {
			continue
		}
		if i++; i == len(args) {
			return moved // the last flag lacks its value: an error, not the first argument
		}
		moved = append(moved, args[i])
	}
	return append(moved, rest...)
}

// lookup tells whether arg is a flag of this set, and whether the next
// argument is its value.
func (f *flags) lookup(arg string) (known, takesValue bool) {
	name, ok := strings.CutPrefix(arg, "-")
	if !ok || name == "" {
		return false, false
	}
	name = strings.TrimPrefix(name, "-")
	name, _, hasValue := strings.Cut(name, "=")
	fl := f.set.Lookup(name)
	if fl == nil {
		return false, false
	}
	b, ok := fl.Value.(*tracked)
	return true, !hasValue && (!ok || !b.IsBoolFlag())
}

// tracked notes that a flag was given, under any of its names.
type tracked struct {
	flag.Value
	def  *flagDef
	name string
}

func (t *tracked) Set(s string) error {
	t.def.given = append(t.def.given, t.name)
	return t.Value.Set(s)
}

func (t *tracked) String() string {
	if t.Value == nil { // package flag makes zero values
		return ""
	}
	return t.Value.String()
}

func (t *tracked) IsBoolFlag() bool { return t.def != nil && t.def.value == "" }

// As package flag says it.
var (
	errParse = errors.New("parse error")
	errRange = errors.New("value out of range")
)

type boolValue bool

func (v *boolValue) Set(s string) error {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return errParse
	}
	*v = boolValue(b)
	return nil
}
func (v *boolValue) String() string   { return "" }
func (v *boolValue) IsBoolFlag() bool { return true }

type stringValue string

func (v *stringValue) Set(s string) error { *v = stringValue(s); return nil }
func (v *stringValue) String() string     { return string(*v) }

type intValue int

func (v *intValue) Set(s string) error {
	n, err := strconv.ParseInt(s, 0, strconv.IntSize)
	if errors.Is(err, strconv.ErrRange) {
		return errRange
	}
	if err != nil {
		return errParse
	}
	*v = intValue(n)
	return nil
}
func (v *intValue) String() string { return strconv.Itoa(int(*v)) }

type durationValue time.Duration

func (v *durationValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil {
		return errParse
	}
	*v = durationValue(d)
	return nil
}
func (v *durationValue) String() string { return time.Duration(*v).String() }

type stringsValue []string

func (v *stringsValue) Set(s string) error { *v = append(*v, s); return nil }
func (v *stringsValue) String() string     { return "" }

type funcValue func(string) error

func (v funcValue) Set(s string) error { return v(s) }
func (v funcValue) String() string     { return "" }
