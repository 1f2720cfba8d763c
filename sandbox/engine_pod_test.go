package sandbox

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestRemoveWhileCreated: an engine's pod is on record from before its sandbox
// container is made. Removal leaves it to whoever makes it, unless by force.
func TestRemoveWhileCreated(t *testing.T) {
	rung.Privileged(t)
	dir := t.TempDir()
	s := &Store{RunRoot: filepath.Join(dir, "run"), LibRoot: filepath.Join(dir, "lib"), LogRoot: filepath.Join(dir, "log")}
	defer func() { _ = unix.Unmount(s.RunRoot, unix.MNT_DETACH) }()
	const id = "5a11db0c0ffee"
	for _, force := range []bool{false, true} {
		bundle, spec := busyboxBundle(t, "true")
		spec.Annotations = map[string]string{"io.kubernetes.cri.container-type": "sandbox", "io.kubernetes.cri.sandbox-id": id}
		m, err := s.Join(t.Context(), "", id, bundle, spec)
		if err != nil || m == nil {
			t.Fatalf("Join = %v, %v; want a pod", m, err)
		}
		p, err := s.PodToRemove(id)
		if err != nil {
			t.Fatal(err)
		}
		// A podrt that knows no engines must not remove it.
		var rec podRecord
		if err := readJSON(filepath.Join(p.dir, "pod.json"), &rec); err != nil || rec.Version != recordVersionOwners {
			t.Errorf("pod.json: %v, version %d; want %d", err, rec.Version, recordVersionOwners)
		}
		err = p.Remove(t.Context(), force)
		switch {
		case force && err != nil:
			t.Errorf("Remove by force: %v", err)
		case !force && (err == nil || !strings.Contains(err.Error(), `container "`+id+`" is being created`)):
			t.Errorf("Remove: %v; want an error, it is being created", err)
		}
		if _, err := s.PodByUID(id); errors.Is(err, ErrPodNotExist) != force {
			t.Errorf("after Remove with force %t: pod %v", force, err)
		}
		// The container is not made.
		if err := m.Abort(); err != nil {
			t.Errorf("Abort: %v", err)
		}
		if _, err := s.PodByUID(id); !errors.Is(err, ErrPodNotExist) {
			t.Errorf("after Abort: pod %v; want none", err)
		}
	}
}
