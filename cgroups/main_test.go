package cgroups

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestMain(m *testing.M) {
	if job := os.Getenv(helperEnv); job != "" {
		helper(job)
	}
	os.Exit(m.Run())
}

// resources parses OCI resources as they are written in a configuration.
func resources(t *testing.T, s string) *specs.LinuxResources {
	t.Helper()
	var r specs.LinuxResources
	if err := json.Unmarshal([]byte(s), &r); err != nil {
		t.Fatalf("resources %s: %v", s, err)
	}
	return &r
}

// fake makes a directory with the files of a cgroup, with content as the kernel
// writes it.
func fake(t *testing.T, files map[string]string) *dir {
	t.Helper()
	path := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(path, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := openDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

// matches tells whether err contains want, or is nil where want is empty.
func matches(err error, want string) bool {
	if err == nil || want == "" {
		return err == nil && want == ""
	}
	return strings.Contains(err.Error(), want)
}

func second[T any](_ T, err error) error { return err }
