package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestOCIConfig: --config as crun has it. A file in the place of the bundle's is of
// the working directory, and has the defaults of exec, too; "config.json" alone is
// the bundle's.
func TestOCIConfig(t *testing.T) {
	o := newOCI(t, "")
	dir := t.TempDir()
	o.configure(func(s *specs.Spec) {
		s.Process.Args = []string{"sh", "-c", "echo $WHICH; exec sleep 1000"}
		s.Process.Env = append(s.Process.Env, "WHICH=other")
	})
	config := filepath.Join(o.bundle, "config.json")
	if err := os.Rename(config, filepath.Join(dir, "other.json")); err != nil {
		t.Fatal(err)
	}
	at := func(args ...string) ociResult {
		t.Helper()
		cmd := o.command(args...)
		cmd.Dir = dir
		return o.finish(cmd)
	}
	const missing = "podrt create failed: JSON specification file config.json not found\n"
	if r := at("create", "--bundle", o.bundle, "--config", "config.json", "c1"); r.code != 1 || r.stderr != missing {
		t.Errorf("without a config.json in the bundle: exit code %d, %q; want %q", r.code, r.stderr, missing)
	}
	o.fails(1, "podrt create failed: JSON specification file "+dir+"/none.json not found", "create", "--bundle", o.bundle, "--config", dir+"/none.json", "c1")
	if r := at("create", "--bundle", o.bundle, "--config", "other.json", "c1"); r.code != 0 {
		t.Fatalf("create: %d, %s", r.code, r.stderr)
	}
	o.ok("start", "c1")
	if got := o.ok("exec", "c1", "sh", "-c", "echo $WHICH"); got != "other\n" {
		t.Errorf("exec has the environment of %q; want other", got)
	}
	o.ok("delete", "--force", "c1")

	if err := os.Rename(filepath.Join(dir, "other.json"), config); err != nil {
		t.Fatal(err)
	}
	o.configure(func(s *specs.Spec) { s.Process.Args = []string{"sh", "-c", "echo $WHICH"} })
	if r := at("run", "--bundle", o.bundle, "--config", "config.json", "c1"); r.code != 0 || r.stdout != "other\n" {
		t.Errorf("run: %+v; want the bundle's own", r)
	}
}
