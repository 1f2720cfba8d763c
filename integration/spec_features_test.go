package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// features says what runc's says, but for cgroup v1, which podrt refuses, and
// what is podrt's own. Callers read it with both streams in one, and without a
// flag, from a directory that may be anything.
func TestSpecFeatures(t *testing.T) {
	rung.Privileged(t)
	read := func(bin string) map[string]any {
		cmd := exec.Command(bin, "features")
		cmd.Dir = "/proc"
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s features: %v: %s", bin, err, out)
		}
		var f map[string]any
		if err := json.Unmarshal(out, &f); err != nil {
			t.Fatalf("%s features: %v: %s", bin, err, out)
		}
		return f
	}
	ours, theirs := read(os.Getenv(binEnv)), read(os.Getenv(peerEnv))
	cgroup := func(f map[string]any) map[string]any { return f["linux"].(map[string]any)["cgroup"].(map[string]any) }
	if v1, ok := cgroup(ours)["v1"]; !ok || v1 != false {
		t.Errorf("features: cgroup.v1 = %v; want false", v1)
	}
	cgroup(ours)["v1"] = true

	annotations := ours["annotations"].(map[string]any)
	for key, value := range annotations {
		if strings.HasPrefix(key, "dev.podrt.") {
			if value == "" {
				t.Errorf("features: annotation %s is empty", key)
			}
			delete(annotations, key)
		}
	}
	const unsafe = "potentiallyUnsafeConfigAnnotations"
	common := func(f map[string]any) (names []string) {
		for _, n := range f[unsafe].([]any) {
			names = append(names, n.(string))
		}
		return names
	}
	for _, own := range []string{"dev.podrt.", "io.kubernetes.cri.", "io.kubernetes.cri-o.", "run.oci.keep_original_groups"} {
		if !slices.Contains(common(ours), own) {
			t.Errorf("features: %s has no %q: %q", unsafe, own, common(ours))
		}
	}
	for _, own := range common(theirs) {
		if !slices.Contains(common(ours), own) {
			t.Errorf("features: %s has no %q: %q", unsafe, own, common(ours))
		}
	}
	delete(ours, unsafe)
	delete(theirs, unsafe)
	for field := range theirs {
		if !reflect.DeepEqual(ours[field], theirs[field]) {
			t.Errorf("features: %s = %v; runc says %v", field, ours[field], theirs[field])
		}
	}
	if len(ours) != len(theirs) {
		t.Errorf("features has %d fields; runc's has %d", len(ours), len(theirs))
	}
}
