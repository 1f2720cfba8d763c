package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// fate is what becomes of a field.
type fate string

const (
	honoured fate = "honoured"
	refused  fate = "refused"
	unused   fate = "without meaning" // on one host, without a cluster
)

// field is one of the table: a field of the types by its path, where [] is an
// element of a list or a value of a map. What is below a field that is refused or
// without meaning has its fate.
type field struct {
	path string
	fate fate
	note string // why it is refused or without meaning; else what is particular
}

// alike are paths below which the fields are those below another.
var alike = []struct{ path, of string }{
	{"spec.initContainers[]", "spec.containers[]"},
	{".readinessProbe", ".livenessProbe"},
	{".startupProbe", ".livenessProbe"},
	{".preStop", ".postStart"},
	{".projected.sources[].secret.items[]", ".secret.items[]"},
	{".projected.sources[].configMap.items[]", ".configMap.items[]"},
	{".projected.sources[].downwardAPI.items[]", ".downwardAPI.items[]"},
}

// lookup finds the entry of a path; nil if there is none.
func lookup(path string) *field {
	if f := entry(path); f != nil {
		return f
	}
	for _, a := range alike {
		path = strings.Replace(path, a.path, a.of, 1)
	}
	return entry(path)
}

func entry(path string) *field {
	i := slices.IndexFunc(fields, func(f field) bool { return f.path == path })
	if i < 0 {
		return nil
	}
	return &fields[i]
}

// refuse adds a problem for each field of the object that is set and refused.
func (p *problems) refuse(object any) { p.walk(reflect.ValueOf(object), "", "") }

// walk is refuse for a value; at is its path, key that in the table.
func (p *problems) walk(v reflect.Value, at, key string) {
	if !v.IsValid() || v.IsZero() {
		return
	}
	f := lookup(key)
	if f != nil {
		if f.fate == refused && !blank(v) {
			p.addf(at, "%s%s", shown(v), f.note)
		}
		if f.fate != honoured {
			return
		}
	}
	if leaf(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		p.walk(v.Elem(), at, key)
	case reflect.Struct:
		for _, m := range members(v.Type()) {
			p.walk(v.FieldByIndex(m.index), join(at, m.name), join(key, m.name))
		}
	case reflect.Slice:
		for i := range v.Len() {
			p.walk(v.Index(i), at+"["+strconv.Itoa(i)+"]", key+"[]")
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			p.walk(v.MapIndex(k), at+"["+strconv.Quote(k.String())+"]", key+"[]")
		}
	}
}

// blank reports whether nothing is said by v: a pointer to false, an empty list. A
// source of a volume says something without a field.
func blank(v reflect.Value) bool {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Bool, reflect.String:
		return v.IsZero()
	case reflect.Struct:
		return v.Type() == reflect.TypeFor[corev1.SELinuxOptions]() && v.IsZero() // podman kube generate's
	}
	return false
}

// shown is a value in front of what is said of it; nothing for what has parts.
func shown(v reflect.Value) string {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String()) + ": "
	case reflect.Bool, reflect.Int32, reflect.Int64:
		return fmt.Sprint(v.Interface()) + ": "
	}
	if leaf(v.Type()) {
		text, _ := json.Marshal(v.Interface())
		return string(text) + ": "
	}
	return ""
}

// member is a field of a struct by its name in JSON.
type member struct {
	name  string
	index []int
	typ   reflect.Type
}

// members lists them, those of embedded structs among them.
func members(t reflect.Type) []member {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case name == "" && (f.Anonymous || strings.Contains(options, "inline")):
			for _, m := range members(f.Type) {
				out = append(out, member{m.name, append([]int{i}, m.index...), m.typ})
			}
		default:
			out = append(out, member{name, []int{i}, f.Type})
		}
	}
	return out
}

// leaf reports whether the JSON of a type is no object or list of its own fields.
func leaf(t reflect.Type) bool {
	marshals := reflect.TypeFor[json.Marshaler]()
	if t.Implements(marshals) || reflect.PointerTo(t).Implements(marshals) {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Struct, reflect.Map:
		return false
	case reflect.Slice:
		return t.Elem().Kind() == reflect.Uint8
	}
	return true
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
