package sandbox

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const bundlesDir = "../integration/testdata/bundles"

// exampleBundles returns the directories of the example pod bundles.
func exampleBundles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(bundlesDir, "*", PodSpecFile))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 5 {
		t.Fatalf("%d example bundles in %s; want at least 5", len(files), bundlesDir)
	}
	dirs := make([]string, len(files))
	for i, f := range files {
		dirs[i] = filepath.Dir(f)
	}
	return dirs
}

func TestParsePodSpecRefuses(t *testing.T) {
	for _, c := range badPodSpecs() {
		t.Run(c.name, func(t *testing.T) {
			spec, err := ParsePodSpec("pod.json", []byte(c.in))
			if spec != nil || err == nil {
				t.Fatalf("ParsePodSpec(%s) = %+v, %v; want an error", c.in, spec, err)
			}
			want := "pod.json: " + strings.ReplaceAll(c.want, "\n", "\npod.json: ")
			if err.Error() != want {
				t.Errorf("ParsePodSpec(%s)\n got %s\nwant %s", c.in, err, want)
			}
			var field *FieldError
			if !errors.As(err, &field) || field.File != "pod.json" {
				t.Errorf("ParsePodSpec(%s): %v; want a *FieldError of pod.json", c.in, err)
			}
		})
	}
}

// TestParsePodSpecFull reads the example that has every field.
func TestParsePodSpecFull(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(bundlesDir, "full", PodSpecFile))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ParsePodSpec("pod.json", data)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	setFields(set, reflect.ValueOf(*spec))
	for field, ok := range set {
		// An image by its digest is not there before somebody makes it.
		if !ok && field != "PodContainer.Image" {
			t.Errorf("%s/full does not set %s", bundlesDir, field)
		}
	}
	got, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	if !sameJSON(t, got, data) {
		t.Errorf("ParsePodSpec(full), encoded, is\n%s\nwant\n%s", got, data)
	}
}

// setFields notes which fields of the pod's own types have a value that is not zero
// anywhere in v. A pointer is to a struct, or to a number that may be an explicit 0.
func setFields(set map[string]bool, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			setFields(set, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			setFields(set, v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			setFields(set, v.MapIndex(key))
		}
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[PodSpec]().PkgPath() {
			return // the runtime specification's
		}
		for i := range v.NumField() {
			name := v.Type().Name() + "." + v.Type().Field(i).Name
			f := v.Field(i)
			set[name] = set[name] || !f.IsZero() && (f.Kind() != reflect.Slice && f.Kind() != reflect.Map || f.Len() > 0) ||
				name == "IDMapping.ContainerID" // 0 has to be mapped
			setFields(set, f)
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}

func TestValidateWithoutFile(t *testing.T) {
	spec := NewPodSpec("web")
	if err := spec.Validate(); err != nil {
		t.Fatalf("Validate() of a new spec = %v; want nil", err)
	}
	spec.Share = append(spec.Share, "mnt")
	spec.Containers = append(spec.Containers, PodContainer{Name: "a.b"})
	spec.TerminationGracePeriodSeconds = nil
	want := `share[3]: "mnt": must be one of net, ipc, uts, pid, cgroup, time, user
terminationGracePeriodSeconds: required
containers[0].name: "a.b": must match [a-zA-Z0-9][a-zA-Z0-9_-]{0,62}`
	if err := spec.Validate(); err == nil || err.Error() != want {
		t.Errorf("Validate()\n got %v\nwant %s", err, want)
	}
}
