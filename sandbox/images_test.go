package sandbox

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestImageUsers: pods of each run root count, those of none do not, and what cannot
// be read is no reason to remove an image.
func TestImageUsers(t *testing.T) {
	dir := t.TempDir()
	s := Store{RunRoot: dir + "/run", LibRoot: dir + "/lib"}
	if users, err := s.ImageUsers(); err != nil || len(users) > 0 {
		t.Errorf("ImageUsers() of nothing = %v, %v", users, err)
	}
	one, two := "sha256:"+strings.Repeat("1", 64), "sha256:"+strings.Repeat("2", 64)
	pod := func(run, uid string, images ...string) {
		t.Helper()
		spec := NewPodSpec("pod-" + uid)
		for i, image := range images {
			c := PodContainer{Name: "c" + string(rune('a'+i)), Image: image}
			if i == 0 && len(images) > 1 {
				spec.InitContainers = append(spec.InitContainers, c)
			} else {
				spec.Containers = append(spec.Containers, c)
			}
		}
		rec := podRecord{UID: uid, Name: spec.Metadata.Name, Spec: spec}
		rec.Version = rec.version()
		owner := Store{RunRoot: run, LibRoot: s.LibRoot}
		for _, d := range []string{owner.podDir(uid), owner.podLibDir(uid)} {
			if err := os.MkdirAll(d, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := writeJSON(filepath.Join(owner.podDir(uid), "pod.json"), &rec); err != nil {
			t.Fatal(err)
		}
		if err := writeJSON(filepath.Join(owner.podLibDir(uid), ownerFile), &libOwner{"boot", run}); err != nil {
			t.Fatal(err)
		}
	}
	pod(s.RunRoot, "a", one)
	pod(s.RunRoot, "b", one, two, two)
	pod(dir+"/other", "c", two, "")
	pod(dir+"/gone", "d", one)
	if err := os.RemoveAll(dir + "/gone"); err != nil { // after a reboot
		t.Fatal(err)
	}
	if err := os.MkdirAll(s.podLibDir("e"), 0o700); err != nil { // killed before it said whose it is
		t.Fatal(err)
	}
	users, err := s.ImageUsers()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{one: "pod-a pod-b", two: "pod-b pod-c"}
	got := map[string]string{}
	for image, pods := range users {
		got[image] = strings.Join(pods, " ")
	}
	if !maps.Equal(got, want) {
		t.Errorf("ImageUsers() = %v; want %v", got, want)
	}
	for _, bad := range []string{"{", `{"version": 99, "uid": "a", "spec": {}}`} {
		if err := os.WriteFile(filepath.Join(s.podDir("a"), "pod.json"), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if users, err := s.ImageUsers(); err == nil {
			t.Errorf("ImageUsers() with a record that is %s = %v; want an error", bad, users)
		}
	}
}
