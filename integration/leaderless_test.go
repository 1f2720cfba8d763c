package integration

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/bundle"
)

// TestLeaderless: an init whose first thread has ended (pthread_exit(3)) while
// another goes on looks like a zombie, and cgroup.kill does not reach it. It is
// alive, and ended all the same.
func TestLeaderless(t *testing.T) {
	for name, remove := range map[string][][]string{
		"rm --force": {{"pod", "rm", "--force", "p"}},
		"stop":       {{"pod", "stop", "--time", "1", "p"}, {"pod", "rm", "p"}},
		"delete":     {{"delete", "--force", "p-c"}, {"pod", "rm", "--force", "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.start(t, w.podOf(t, nil, bundle.Container{Name: "c", Spec: bundle.Spec("/probe", "leaderless")}))
			c := w.inspect(t, "p").Containers[0]
			if remove[0][0] == "delete" {
				remove[0][2] = c.ID
			}
			stat := "/proc/" + strconv.Itoa(c.PID) + "/stat"
			eventually(t, "the first thread has ended", func() bool {
				b, err := os.ReadFile(stat)
				return err == nil && strings.Contains(string(b), ") Z ")
			})
			for _, args := range remove {
				w.ok(t, args...)
			}
			if _, err := os.Stat(stat); err == nil {
				t.Errorf("process %d is left", c.PID)
			}
		})
	}
}
