package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestBaseline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "native.baseline")
	b := &baseline{version: "v1.2.3", rung: "native", runs: []*fileRun{
		{File: "run", Rung: "native", Runtime: "runc", Took: 3 * time.Second, Results: []result{{Name: "runc run", Outcome: pass}, {Name: "a  b # c", Outcome: skip}}},
		{File: "exec", Rung: "native", Runtime: "runc", Results: []result{{Name: "x", Outcome: fail}}},
	}}
	if err := b.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readBaseline(path, "v1.2.3")
	if err != nil || !reflect.DeepEqual(got, b) {
		t.Errorf("readBaseline = %+v, %v; want %+v", got, err, b)
	}
	if _, err := readBaseline(path, "v1.6.0"); err == nil || !strings.Contains(err.Error(), `"v1.6.0"`) {
		t.Errorf("readBaseline for another version: %v; want an error that names it", err)
	}
}

func TestBaselineRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no file":          "runc v1\nrung native\n",
		"test before file": "runc v1\nrung native\npass x\n",
		"unknown word":     "runc v1\nrung native\nfile run 3\ngood x\n",
		"no seconds":       "runc v1\nrung native\nfile run\n",
		"no name":          "runc v1\nrung native\nfile run 3\npass \n",
	} {
		path := filepath.Join(t.TempDir(), "b")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := readBaseline(path, "v1"); err == nil {
			t.Errorf("%s: readBaseline = %+v; want an error", name, b)
		}
	}
}

// TestCommittedBaseline: it is of the runc that go.mod requires.
func TestCommittedBaseline(t *testing.T) {
	version, _, err := runcVersion(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"native"} {
		b, err := readBaseline(name+".baseline", version)
		if err != nil {
			t.Fatal(err)
		}
		if b.rung != name {
			t.Errorf("%s.baseline is of rung %q", name, b.rung)
		}
	}
}
