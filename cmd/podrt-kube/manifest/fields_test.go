package manifest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

var update = flag.Bool("update", false, "write golden files and docs/kubernetes.md")

// TestFields: every field of the types that a Pod is made of has one fate, by its
// own entry or one above it, and each entry is of a field.
func TestFields(t *testing.T) {
	used := map[string]bool{}
	walkFields(t, reflect.TypeFor[corev1.Pod](), "", used)
	seen := map[string]bool{}
	for _, f := range fields {
		switch {
		case seen[f.path]:
			t.Errorf("%s: two entries", f.path)
		case !used[f.path]:
			t.Errorf("%s: the types have no such field, or it has the fate of one above it", f.path)
		case f.fate != honoured && f.note == "":
			t.Errorf("%s: %s, and no word why", f.path, f.fate)
		}
		seen[f.path] = true
	}
}

// walkFields notes the entries of all fields below a type.
func walkFields(t *testing.T, typ reflect.Type, path string, used map[string]bool) {
	if f := lookup(path); f != nil {
		used[f.path] = true
		if f.fate != honoured || plain(typ) {
			return
		}
	} else if plain(typ) {
		t.Errorf("%s: no entry", path)
		return
	}
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch typ.Kind() {
	case reflect.Struct:
		for _, m := range members(typ) {
			walkFields(t, m.typ, join(path, m.name), used)
		}
	case reflect.Slice, reflect.Map:
		walkFields(t, typ.Elem(), path+"[]", used)
	}
}

// plain reports whether a field of that type is one of the table as a whole.
func plain(typ reflect.Type) bool {
	for typ.Kind() == reflect.Pointer && !leaf(typ) {
		typ = typ.Elem()
	}
	if leaf(typ) {
		return true
	}
	return (typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map) && plain(typ.Elem())
}

// TestRefused: each field that the table refuses is refused, by its path, wherever
// it may be.
func TestRefused(t *testing.T) {
	for _, f := range fields {
		if f.fate != refused {
			continue
		}
		pod := &corev1.Pod{}
		if !fill(reflect.ValueOf(pod).Elem(), strings.Split(f.path, ".")) {
			t.Errorf("%s: cannot be set", f.path)
			continue
		}
		var p problems
		p.refuse(pod)
		want := strings.ReplaceAll(f.path, "[]", "[0]")
		if err := p.err(); err == nil || !strings.HasPrefix(err.Error(), want+": ") || !strings.HasSuffix(err.Error(), f.note) || len(p.errs) != 1 {
			t.Errorf("%s: %v; want it to be refused", f.path, err)
		}
	}
}

// fill sets the field at a path to something.
func fill(v reflect.Value, path []string) bool {
	for v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if len(path) == 0 {
		return something(v)
	}
	name, list := strings.CutSuffix(path[0], "[]")
	for _, m := range members(v.Type()) {
		if m.name != name {
			continue
		}
		f := v.FieldByIndex(m.index)
		if list {
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			f = f.Index(0)
		}
		return fill(f, path[1:])
	}
	return false
}

// something makes a value that says something.
func something(v reflect.Value) bool {
	for v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return something(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem())
	case reflect.Struct:
		// A pointer to a struct is something; a struct is by what is in it.
		for i := range v.NumField() {
			if v.Field(i).CanSet() && something(v.Field(i)) {
				return true
			}
		}
		return v.NumField() == 0
	default:
		return false
	}
	return true
}

const docFile = "../../../docs/kubernetes.md"

const (
	docBegin = "<!-- fields: begin; written by go test ./cmd/podrt-kube/manifest -run TestDocumentation -update -->\n"
	docEnd   = "<!-- fields: end -->\n"
)

// TestDocumentation: docs/kubernetes.md has the table.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(text, []byte(docBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(docEnd))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", docFile)
	}
	want := slices.Concat(before, []byte(docBegin), []byte(table()), []byte(docEnd), after)
	if *update {
		if err := os.WriteFile(docFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(text, want) {
		t.Errorf("%s is not of this table: go test ./cmd/podrt-kube/manifest -run TestDocumentation -update", docFile)
	}
}

// table is the table of fields in Markdown.
func table() string {
	var b strings.Builder
	b.WriteString("\n| field | | |\n| --- | --- | --- |\n")
	for _, f := range fields {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.path, f.fate, f.note)
	}
	b.WriteString("\n")
	return b.String()
}
