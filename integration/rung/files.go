package rung

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
)

// Watch fails the test if at its end the directories hold other files than
// now; one that does not exist counts as empty. Call it after [Privileged].
func Watch(t testing.TB, dirs ...string) {
	t.Helper()
	watched := []section{{name: "file", list: func(*view) (objects, error) { return listFiles(dirs) }}}
	before, err := take(watched)
	if err != nil {
		t.Fatalf("leak check: %v", err)
	}
	t.Cleanup(func() {
		if left := before.Settle(settleTime); left != "" {
			t.Errorf("the test left other files than it found in %q (- gone, + left):\n%s", dirs, left)
		}
	})
}

func listFiles(dirs []string) (objects, error) {
	o := objects{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case path != dir:
				line := fmt.Sprintf("%s (%s)", path, d.Type())
				o[line] = line
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}
