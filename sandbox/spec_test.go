package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestLoadSpec(t *testing.T) {
	const process = `"process":{"cwd":"/","args":["true"]}`
	for _, tt := range []struct {
		name, config, want string
	}{
		{"good", `{"ociVersion":"1.3.0",` + process + `}`, ""},
		{"older", `{"ociVersion":"1.0.2-dev",` + process + `}`, ""},
		{"no version", `{` + process + `}`, ""},
		{"unknown field", `{"ociVersion":"1.0.0","new":1,` + process + `}`, ""},
		{"not JSON", `not JSON`, `parse "BUNDLE/config.json": invalid character 'o' in literal null (expecting 'u')`},
		{"empty", ``, `parse "BUNDLE/config.json": EOF`},
		{"null", `null`, "config cannot be null"},
		{"wrong type", `{"hostname":1}`, `parse "BUNDLE/config.json": json: cannot unmarshal number into Go struct field Spec.hostname of type string`},
		{"newer", `{"ociVersion":"2.0.0",` + process + `}`, ""},
		{"not a version", `{"ociVersion":"x",` + process + `}`, ""},
		{"no process", `{"ociVersion":"1.0.0"}`, "process property must not be empty"},
		{"no cwd", `{"process":{"args":["true"]}}`, "Cwd property must not be empty"},
		{"relative cwd", `{"process":{"cwd":"x","args":["true"]}}`, "Cwd must be an absolute path"},
		{"no args", `{"process":{"cwd":"/"}}`, "args must not be empty"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bundle := t.TempDir()
			if err := os.WriteFile(filepath.Join(bundle, SpecFile), []byte(tt.config), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := LoadSpec(bundle, "")
			got := ""
			if err != nil {
				got = strings.ReplaceAll(err.Error(), bundle, "BUNDLE")
			}
			if got != tt.want {
				t.Errorf("LoadSpec: error %q; want %q", got, tt.want)
			}
			// The process alone says the same of all that concerns it.
			p, perr := loadSpecProcess(bundle, "")
			switch {
			case tt.name == "wrong type":
				tt.want = "process property must not be empty"
			case perr == nil && (p == nil || p.Args[0] != "true"):
				t.Errorf("loadSpecProcess = %+v; want the process", p)
			}
			if got := strings.ReplaceAll(fmt.Sprint(perr), bundle, "BUNDLE"); got != tt.want && (perr != nil || tt.want != "") {
				t.Errorf("loadSpecProcess: error %q; want %q", got, tt.want)
			}
		})
	}
}

func TestLoadSpecMissing(t *testing.T) {
	bundle := t.TempDir()
	if _, err := LoadSpec(bundle, ""); err == nil || err.Error() != "JSON specification file config.json not found" {
		t.Errorf("LoadSpec of an empty bundle: error %v", err)
	}
	missing := filepath.Join(bundle, "missing")
	_, err := LoadSpec(missing, "")
	if want := "chdir " + missing + ": no such file or directory"; err == nil || err.Error() != want || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadSpec of a missing bundle: error %v; want %s", err, want)
	}
}

func TestExampleSpec(t *testing.T) {
	bundle := t.TempDir()
	for _, rootless := range []bool{false, true} {
		b, err := json.Marshal(ExampleSpec(rootless))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(bundle, SpecFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
		spec, err := LoadSpec(bundle, "")
		if err != nil {
			t.Fatalf("ExampleSpec(%t): %v", rootless, err)
		}
		user := false
		for _, ns := range spec.Linux.Namespaces {
			user = user || ns.Type == specs.UserNamespace
		}
		if user != rootless {
			t.Errorf("ExampleSpec(%t) has a user namespace: %t", rootless, user)
		}
	}
}
