package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Why not a library: encoding/json stops at the first unknown field, with
// neither path nor value, and takes duplicate keys, null for anything and any
// letter case. sigs.k8s.io/json lists unknown and duplicate fields with paths
// but without values, drops the list as soon as a type is wrong, and brings a
// second encoding/json (+0.2 MB).
// go-json-experiment/json stops at the first error (+0.7 MB, 15 allocations at
// every start). This file checks a document against a Go type and leaves
// decoding to encoding/json, which libcontainer links in any case.

// maxJSONDepth bounds the nesting of arrays and objects; pod.json needs 6, an
// OCI config.json 8.
const maxJSONDepth = 64

// jsonMode says how a document is held against a type.
type jsonMode int

const (
	// jsonStrict: unknown fields, null, and missing fields are errors. A field is
	// required if its tag has neither omitempty nor omitzero, as in runtime-spec.
	jsonStrict jsonMode = iota
	// jsonOCI: unknown fields are ignored, as the OCI runtime specification
	// demands ("Extensibility"), null is absence, and what is missing is the
	// caller's to judge. Letter case is as encoding/json takes it, since runc
	// reads the same file with it.
	jsonOCI
)

// decodeJSON decodes data, of at most limit bytes, into the struct that v
// points to. What is wrong goes to ps. It reports whether v holds what the
// document says, apart from unknown and missing fields: if not, checks of v's
// values would find what is not there.
func decodeJSON(ps *problems, data []byte, limit int, mode jsonMode, v any) bool {
	ps.decoding = true
	defer func() { ps.decoding = false }()
	if len(data) > limit {
		ps.addf("", "%d bytes: must be at most %d", len(data), limit)
		return false
	}
	if i := invalidUTF8(data); i >= 0 {
		ps.addf("", "%s: byte %#02x is not valid UTF-8", position(data, i), data[i])
		return false
	}
	var raw json.RawMessage // finds trailing data, too
	if err := json.Unmarshal(data, &raw); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			// Offset counts the bytes read, the bad one included; not so at the end.
			off := int(syntax.Offset)
			if off > 0 && !strings.HasPrefix(err.Error(), "unexpected end") {
				off--
			}
			ps.addf("", "%s: not JSON: %v", position(data, off), err)
		} else {
			ps.addf("", "not JSON: %v", err)
		}
		return false
	}
	if i := tooDeep(data); i >= 0 {
		ps.addf("", "%s: nested deeper than %d", position(data, i), maxJSONDepth)
		return false
	}
	w := jsonWalk{jsonScan: jsonScan{data: data}, mode: mode, ps: ps, ok: true, types: make(map[reflect.Type][]jsonField)}
	w.value(reflect.TypeOf(v))
	if w.ok {
		if err := json.Unmarshal(data, v); err != nil {
			ps.addf("", "%v", err)
			return false
		}
	}
	return w.ok
}

// jsonWalk holds a document against a type.
type jsonWalk struct {
	jsonScan
	mode  jsonMode
	ps    *problems
	ok    bool // every value has its field's type
	at    []jsonStep
	types map[reflect.Type][]jsonField
}

// jsonStep is one step from the root to a value: of an object's member, or with
// an index that is not negative of an array's element.
type jsonStep struct {
	key   string
	index int
}

// path is where the walk is, for a message.
func (w *jsonWalk) path() string {
	path := ""
	for _, s := range w.at {
		if s.index >= 0 {
			path = indexPath(path, s.index)
		} else {
			path = memberPath(path, s.key)
		}
	}
	return path
}

// member checks the value of a member, or an element, against t.
func (w *jsonWalk) member(step jsonStep, t reflect.Type) {
	w.at = append(w.at, step)
	w.value(t)
	w.at = w.at[:len(w.at)-1]
}

// value checks the next value against t; a nil t takes anything.
func (w *jsonWalk) value(t reflect.Type) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() == reflect.Interface {
		w.skip()
		return
	}
	start, fits := w.off, false
	switch w.peek() {
	case '{':
		switch t.Kind() {
		case reflect.Struct:
			w.object(t)
			return
		case reflect.Map:
			w.mapping(t)
			return
		}
		w.skip()
	case '[':
		if t.Kind() == reflect.Slice {
			w.array(t)
			return
		}
		w.skip()
	case '"':
		s := w.text()
		if fits = t.Kind() == reflect.String; fits {
			w.noNUL(s)
		}
	case 't', 'f':
		w.scalar()
		fits = t.Kind() == reflect.Bool
	case 'n':
		w.scalar()
		fits = w.mode == jsonOCI && len(w.at) > 0
	default:
		fits = numberFits(string(w.scalar()), t)
	}
	if !fits {
		w.ok = false
		w.ps.addf(w.path(), "%s: must be %s", w.since(start), kindName(t))
	}
}

// object checks the members of an object against the fields of a struct.
func (w *jsonWalk) object(t reflect.Type) {
	fields := w.fields(t)
	seen := make([]bool, len(fields))
	unknown := false
	for w.open(); !w.closed(); {
		key := w.text()
		start := w.off
		i := w.field(fields, key)
		step := jsonStep{key, -1}
		switch {
		case i >= 0 && !seen[i]:
			seen[i] = true
			w.member(step, fields[i].typ)
		case i >= 0:
			w.duplicate(step, start)
		default:
			w.skip()
			if w.mode == jsonOCI {
				break
			}
			known := "" // listed once
			if !unknown {
				known = "; known here: " + fieldNames(fields)
			}
			unknown = true
			w.ps.addf(memberPath(w.path(), key), "%s: unknown field%s", w.since(start), known)
		}
	}
	if w.mode == jsonStrict {
		for i, f := range fields {
			if f.required && !seen[i] {
				w.ps.addf(memberPath(w.path(), f.name), "required")
			}
		}
	}
}

// field returns the index of the field for key, or -1.
func (w *jsonWalk) field(fields []jsonField, key string) int {
	for i, f := range fields {
		if f.name == key {
			return i
		}
	}
	if w.mode == jsonOCI {
		for i, f := range fields {
			if strings.EqualFold(f.name, key) {
				return i
			}
		}
	}
	return -1
}

func (w *jsonWalk) mapping(t reflect.Type) {
	seen := make(map[string]bool)
	for w.open(); !w.closed(); {
		key := w.text()
		start := w.off
		step := jsonStep{key, -1}
		if seen[key] {
			w.duplicate(step, start)
			continue
		}
		seen[key] = true
		w.at = append(w.at, step)
		w.noNUL(key)
		w.value(t.Elem())
		w.at = w.at[:len(w.at)-1]
	}
}

func (w *jsonWalk) array(t reflect.Type) {
	i := 0
	for w.open(); !w.closed(); i++ {
		w.member(jsonStep{index: i}, t.Elem())
	}
}

// duplicate reports a member that was there before. Which of the two counts
// differs between parsers, so that a checker and a runtime may disagree.
func (w *jsonWalk) duplicate(step jsonStep, start int) {
	w.skip()
	w.ps.addf(memberPath(w.path(), step.key), "%s: duplicate key", w.since(start))
}

// noNUL refuses U+0000: every string ends up as a C string, cut there.
func (w *jsonWalk) noNUL(s string) {
	if strings.ContainsRune(s, 0) {
		w.ps.addf(w.path(), "%s: must not contain a NUL byte", quoteShort(s))
	}
}

// since returns the value between start and here, for a message.
func (w *jsonWalk) since(start int) string {
	raw := bytes.TrimLeft(w.data[start:w.off], between)
	var s string
	if json.Unmarshal(raw, &s) == nil && raw[0] == '"' {
		return quoteShort(s)
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return "?"
	}
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, shorten(b.String(), maxShown))
}

// jsonField is a field of a struct as JSON has it.
type jsonField struct {
	name     string
	typ      reflect.Type
	required bool
}

// fields are t's, found once for a document.
func (w *jsonWalk) fields(t reflect.Type) []jsonField {
	fields, ok := w.types[t]
	if !ok {
		fields = jsonFields(t, nil)
		w.types[t] = fields
	}
	return fields
}

// jsonFields appends t's fields, those of embedded structs included.
func jsonFields(t reflect.Type, fields []jsonField) []jsonField {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, opts, _ := strings.Cut(tag, ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			fields = jsonFields(f.Type, fields)
		case !f.IsExported() || tag == "-":
		default:
			if name == "" {
				name = f.Name
			}
			optional := strings.Contains(opts, "omitempty") || strings.Contains(opts, "omitzero")
			fields = append(fields, jsonField{name: name, typ: f.Type, required: !optional})
		}
	}
	return fields
}

func fieldNames(fields []jsonField) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// numberFits tells whether encoding/json takes n for t. 1.0 and 1e3 are no
// integers to it.
func numberFits(n string, t reflect.Type) bool {
	var err error
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		_, err = strconv.ParseInt(n, 10, t.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		_, err = strconv.ParseUint(n, 10, t.Bits())
	case reflect.Float32, reflect.Float64:
		_, err = strconv.ParseFloat(n, t.Bits())
	default:
		return false
	}
	return err == nil
}

// kindName says what JSON value t takes.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Int, reflect.Int64:
		return "an integer of 64 bits"
	case reflect.Int8, reflect.Int16, reflect.Int32:
		half := int64(1) << (t.Bits() - 1)
		return fmt.Sprintf("an integer from %d to %d", -half, half-1)
	case reflect.Uint, reflect.Uint64:
		return "an integer of 64 bits, not negative"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return fmt.Sprintf("an integer from 0 to %d", uint64(1)<<t.Bits()-1)
	default:
		return "a number"
	}
}
