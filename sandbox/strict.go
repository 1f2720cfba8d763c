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
	w := jsonWalk{dec: json.NewDecoder(bytes.NewReader(data)), data: data, mode: mode, ps: ps, ok: true}
	w.dec.UseNumber()
	if err := w.value(reflect.TypeOf(v), ""); err != nil {
		ps.addf("", "not JSON: %v", err)
		return false
	}
	if w.ok {
		if err := json.Unmarshal(data, v); err != nil {
			ps.addf("", "%v", err)
			return false
		}
	}
	return w.ok
}

// jsonWalk holds a document, token by token, against a type. The document is
// known to be JSON; the errors that its methods return cannot happen.
type jsonWalk struct {
	dec  *json.Decoder
	data []byte
	mode jsonMode
	ps   *problems
	ok   bool // every value has its field's type
}

// value checks the next value against t; a nil t takes anything.
func (w *jsonWalk) value(t reflect.Type, path string) error {
	start := w.dec.InputOffset()
	tok, err := w.dec.Token()
	if err != nil {
		return err
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() == reflect.Interface {
		return w.skip(tok)
	}
	fits := false
	switch tok := tok.(type) {
	case json.Delim:
		switch {
		case tok == '{' && t.Kind() == reflect.Struct:
			return w.object(t, path)
		case tok == '{' && t.Kind() == reflect.Map:
			return w.mapping(t, path)
		case tok == '[' && t.Kind() == reflect.Slice:
			return w.array(t, path)
		}
		if err := w.skip(tok); err != nil {
			return err
		}
	case string:
		if fits = t.Kind() == reflect.String; fits {
			w.noNUL(path, tok)
		}
	case bool:
		fits = t.Kind() == reflect.Bool
	case json.Number:
		fits = numberFits(tok, t)
	case nil:
		fits = w.mode == jsonOCI && path != ""
	}
	if !fits {
		w.ok = false
		w.ps.addf(path, "%s: must be %s", w.since(start), kindName(t))
	}
	return nil
}

// object checks the members of an object, whose brace has been read, against
// the fields of a struct.
func (w *jsonWalk) object(t reflect.Type, path string) error {
	fields := jsonFields(t, nil)
	seen := make([]bool, len(fields))
	unknown := false
	for w.dec.More() {
		tok, err := w.dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		member := memberPath(path, key)
		start := w.dec.InputOffset()
		i := w.field(fields, key)
		switch {
		case i >= 0 && !seen[i]:
			seen[i] = true
			err = w.value(fields[i].typ, member)
		case i >= 0:
			err = w.duplicate(member, start)
		default:
			if err = w.value(nil, member); err != nil || w.mode == jsonOCI {
				break
			}
			known := "" // listed once
			if !unknown {
				known = "; known here: " + fieldNames(fields)
			}
			unknown = true
			w.ps.addf(member, "%s: unknown field%s", w.since(start), known)
		}
		if err != nil {
			return err
		}
	}
	if w.mode == jsonStrict {
		for i, f := range fields {
			if f.required && !seen[i] {
				w.ps.addf(memberPath(path, f.name), "required")
			}
		}
	}
	_, err := w.dec.Token() // the closing brace
	return err
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

func (w *jsonWalk) mapping(t reflect.Type, path string) error {
	seen := make(map[string]bool)
	for w.dec.More() {
		tok, err := w.dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		member := memberPath(path, key)
		start := w.dec.InputOffset()
		if seen[key] {
			err = w.duplicate(member, start)
		} else {
			seen[key] = true
			w.noNUL(member, key)
			err = w.value(t.Elem(), member)
		}
		if err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

func (w *jsonWalk) array(t reflect.Type, path string) error {
	for i := 0; w.dec.More(); i++ {
		if err := w.value(t.Elem(), indexPath(path, i)); err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// duplicate reports a member that was there before. Which of the two counts
// differs between parsers, so that a checker and a runtime may disagree.
func (w *jsonWalk) duplicate(path string, start int64) error {
	if err := w.value(nil, path); err != nil {
		return err
	}
	w.ps.addf(path, "%s: duplicate key", w.since(start))
	return nil
}

// noNUL refuses U+0000: every string ends up as a C string, cut there.
func (w *jsonWalk) noNUL(path, s string) {
	if strings.ContainsRune(s, 0) {
		w.ps.addf(path, "%s: must not contain a NUL byte", quoteShort(s))
	}
}

// skip reads the rest of the value that begins with tok.
func (w *jsonWalk) skip(tok json.Token) error {
	for depth := 0; ; {
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if tok, err = w.dec.Token(); err != nil {
			return err
		}
	}
}

// since returns the value between start and here, for a message.
func (w *jsonWalk) since(start int64) string {
	raw := bytes.TrimLeft(w.data[start:w.dec.InputOffset()], " \t\r\n,:")
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
func numberFits(n json.Number, t reflect.Type) bool {
	var err error
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		_, err = strconv.ParseInt(n.String(), 10, t.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		_, err = strconv.ParseUint(n.String(), 10, t.Bits())
	case reflect.Float32, reflect.Float64:
		_, err = strconv.ParseFloat(n.String(), t.Bits())
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
