package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/bundle"
)

// TestPodOutputLost: what cannot be written is a failure, and so said.
func TestPodOutputLost(t *testing.T) {
	w := newWorld(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	w.ok(t, "network", "create", "net")
	w.start(t, w.podOf(t, nil, bundle.Container{Name: "a", Spec: bundle.Spec("true")}))
	named := w.scripts(t, bundle.Pod{"metadata": object{"name": "other"}}, "a", "yes | head -n 100000; exit 3")
	good := w.scripts(t, bundle.Pod{"metadata": object{"name": "good"}}, "a", "echo lost")
	for _, c := range []struct {
		code int
		args []string
	}{
		{1, []string{"pod", "ls", "-q"}},
		{1, []string{"pod", "wait", "p"}},
		{1, []string{"network", "ls", "-q"}},
		{3, []string{"pod", "run", named}},
		{125, []string{"pod", "run", good}},
		{125, []string{"pod", "run", "-d", good}},
	} {
		t.Run(strings.Join(c.args[:2], " "), func(t *testing.T) {
			r := w.command(t, w.argv(c.args...), func(cmd *exec.Cmd) { cmd.Stdout = full })
			if r.code != c.code || !strings.Contains(message(r), "write /dev/stdout: no space left on device") {
				t.Errorf("%v; want exit code %d, and why", r, c.code)
			}
		})
	}
	w.ok(t, "pod", "rm", "-f", "p", "good")
	w.ok(t, "network", "rm", "net")
	if left := w.left(); len(left) > 0 {
		t.Errorf("after the pods there is %q", left)
	}
}
