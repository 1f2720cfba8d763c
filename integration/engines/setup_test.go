package engines

import (
	"os"
	"strings"
	"testing"
)

// installed is where `make install` puts podrt, as the configuration that
// README.md shows has it.
const installed = "/usr/local/sbin/podrt"

// setting returns what README.md tells to write into an engine's configuration,
// a file in testdata, for the lab's runtime.
func (l *lab) setting(x *try, name string) string {
	b, err := os.ReadFile("testdata/" + name)
	x.must(err)
	return strings.NewReplacer(installed, l.runtime.path, "podrt", l.runtime.name).Replace(string(b))
}

// TestReadme wants README.md to show the configurations that are tested.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"containers.conf", "containerd.toml", "daemon.json"} {
		setting, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(readme), string(setting)) {
			t.Errorf("README.md lacks the text of testdata/%s", name)
		}
	}
}
