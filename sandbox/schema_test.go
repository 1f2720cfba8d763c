package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "pod.schema.json"

func podSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func schemaAccepting(t *testing.T, schema *jsonschema.Schema, doc []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(doc)))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(v)
}

func TestSchemaTakesExamples(t *testing.T) {
	schema := podSchema(t)
	for _, dir := range exampleBundles(t) {
		file := filepath.Join(dir, PodSpecFile)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := schemaAccepting(t, schema, data); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		spec, err := ParsePodSpec(file, data)
		if err != nil {
			t.Error(err)
			continue
		}
		stored, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		if err := schemaAccepting(t, schema, stored); err != nil {
			t.Errorf("%s with defaults: %v", file, err)
		}
	}
	// Empty strings are defaults to the parser.
	empty := `{"podVersion": "0.1.0", "metadata": {"name": "a", "uid": ""}, "hostname": "", "domainname": "", "network": {"mode": ""},
		"cgroupParent": "", "restartPolicy": "", "volumes": [{"name": "v", "emptyDir": {"medium": ""}}, {"name": "w", "hostPath": {"path": "/", "type": ""}}],
		"containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": ""}]}]}`
	if _, err := ParsePodSpec("empty", []byte(empty)); err != nil {
		t.Error(err)
	}
	if err := schemaAccepting(t, schema, []byte(empty)); err != nil {
		t.Error(err)
	}
}

// TestSchemaRefuses: where the table says that a schema can refuse an input
// that ParsePodSpec refuses, this one does, and where it says not, it cannot.
func TestSchemaRefuses(t *testing.T) {
	schema := podSchema(t)
	for _, c := range badPodSpecs() {
		if c.schema == schemaCannot {
			continue
		}
		err := schemaAccepting(t, schema, []byte(c.in))
		switch {
		case c.schema == schemaRefuses && err == nil:
			t.Errorf("%s: the schema takes %s; want it to refuse", c.name, c.in)
		case c.schema == schemaAccepts && err != nil:
			t.Errorf("%s: the schema refuses %s: %v; the table says that it cannot", c.name, c.in, err)
		}
	}
}

// TestSchemaIsTheTypes walks PodSpec and the schema together: the same fields,
// required where the types say so, of the same kinds, each described.
func TestSchemaIsTheTypes(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	s := schemaWalk{t: t, defs: root["$defs"].(map[string]any), used: map[string]bool{}}
	s.compare(reflect.TypeFor[PodSpec](), root, "pod.json")
	for name := range s.defs {
		if !s.used[name] {
			t.Errorf("$defs/%s is not used", name)
		}
	}
}

type schemaWalk struct {
	t    *testing.T
	defs map[string]any
	used map[string]bool
}

// resolve merges what a $ref points to into the node: its own keywords count.
func (s *schemaWalk) resolve(node map[string]any, path string) map[string]any {
	ref, ok := node["$ref"].(string)
	if !ok {
		return node
	}
	name := strings.TrimPrefix(ref, "#/$defs/")
	def, ok := s.defs[name].(map[string]any)
	if !ok {
		s.t.Fatalf("%s: $ref %q leads nowhere", path, ref)
	}
	s.used[name] = true
	merged := maps.Clone(def)
	maps.Copy(merged, node)
	return merged
}

func (s *schemaWalk) compare(typ reflect.Type, node map[string]any, path string) {
	node = s.resolve(node, path)
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := map[reflect.Kind]string{
		reflect.Struct: "object", reflect.Map: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean",
		reflect.Int64: "integer", reflect.Uint64: "integer", reflect.Uint32: "integer", reflect.Uint16: "integer",
	}[typ.Kind()]
	if got := node["type"]; want == "" || got != want {
		s.t.Errorf("%s: type %v in the schema; want %q, for %v", path, got, want, typ)
		return
	}
	switch typ.Kind() {
	case reflect.Struct:
		s.compareFields(typ, node, path)
	case reflect.Map:
		s.compare(typ.Elem(), s.child(node, "additionalProperties", path), path+"{}")
	case reflect.Slice:
		s.compare(typ.Elem(), s.child(node, "items", path), path+"[]")
	case reflect.Int64, reflect.Uint64, reflect.Uint32, reflect.Uint16:
		s.compareRange(typ, node, path)
	}
}

func (s *schemaWalk) child(node map[string]any, key, path string) map[string]any {
	child, ok := node[key].(map[string]any)
	if !ok {
		s.t.Fatalf("%s: %s is %v; want a schema", path, key, node[key])
	}
	return child
}

func (s *schemaWalk) compareFields(typ reflect.Type, node map[string]any, path string) {
	if node["additionalProperties"] != false {
		s.t.Errorf("%s: additionalProperties is not false", path)
	}
	properties := s.child(node, "properties", path)
	var names, required []string
	for _, f := range jsonFields(typ, nil) {
		names = append(names, f.name)
		if f.required {
			required = append(required, f.name)
		}
		property, ok := properties[f.name].(map[string]any)
		if !ok {
			s.t.Errorf("%s.%s: not in the schema", path, f.name)
			continue
		}
		if d, _ := property["description"].(string); d == "" {
			s.t.Errorf("%s.%s: no description of its own", path, f.name)
		}
		s.compare(f.typ, property, path+"."+f.name)
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(names, name) {
			s.t.Errorf("%s.%s: in the schema, not in %v", path, name, typ)
		}
	}
	var got []string
	list, _ := node["required"].([]any)
	for _, name := range list {
		got = append(got, fmt.Sprint(name))
	}
	slices.Sort(got)
	slices.Sort(required)
	if !slices.Equal(got, required) {
		s.t.Errorf("%s: required is %q in the schema; want %q", path, got, required)
	}
}

// compareRange verifies that the schema lets no number through that its type
// does not hold. A float64 is exact enough to tell 2⁶³ from 2⁶⁴.
func (s *schemaWalk) compareRange(typ reflect.Type, node map[string]any, path string) {
	low, high := 0.0, math.Ldexp(1, typ.Bits())
	if typ.Kind() == reflect.Int64 {
		low, high = -math.Ldexp(1, 63), math.Ldexp(1, 63)
	}
	minimum, hasMin := node["minimum"].(float64)
	maximum, hasMax := node["maximum"].(float64)
	if !hasMin || !hasMax || minimum < low || maximum > high {
		s.t.Errorf("%s: from %v to %v in the schema; want within %v", path, node["minimum"], node["maximum"], typ)
	}
}

// TestSchemaDefaults: the defaults that the schema names are those that are
// filled in.
func TestSchemaDefaults(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	type property struct{ Default any }
	var schema struct {
		Properties struct {
			ShmSize                       property
			RestartPolicy                 property
			TerminationGracePeriodSeconds property
			Network                       struct{ Properties struct{ Mode property } }
		}
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	spec, p := NewPodSpec("web"), schema.Properties
	got := []any{p.ShmSize.Default, p.RestartPolicy.Default, p.TerminationGracePeriodSeconds.Default, p.Network.Properties.Mode.Default}
	want := []any{float64(spec.ShmSize), spec.RestartPolicy, float64(*spec.TerminationGracePeriodSeconds), spec.Network.Mode}
	if !slices.Equal(got, want) {
		t.Errorf("defaults in the schema are %v; want %v", got, want)
	}
}
