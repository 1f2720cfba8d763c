package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostDevices(t *testing.T) {
	devices, err := hostDevices("/dev")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, d := range devices {
		found = found || d.Path == "/dev/null" && d.Type == "c" && d.Major == 1 && d.Minor == 3
		if strings.HasPrefix(d.Path, "/dev/pts/") || d.Path == "/dev/ptmx" || d.Path == "/dev/console" {
			t.Errorf("%s is a container's own", d.Path)
		}
	}
	if !found {
		t.Errorf("no /dev/null in %+v", devices)
	}
}

func TestReadProfile(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "profiles/sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{"profiles/sub/a.json": "{}", "secret": "s3cret"} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "profiles/out")); err != nil {
		t.Fatal(err)
	}
	profiles := filepath.Join(dir, "profiles")
	if text, err := readProfile(profiles, "sub/a.json"); err != nil || string(text) != "{}" {
		t.Errorf("readProfile = %q, %v; want {}", text, err)
	}
	for _, name := range []string{"out", "../secret", "none"} {
		if text, err := readProfile(profiles, name); err == nil {
			t.Errorf("readProfile(%q) = %q; want an error", name, text)
		}
	}
}

func TestMemoryFile(t *testing.T) {
	f, err := memoryFile([]byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 { // each who opens it by its path begins at its beginning
		if text, err := os.ReadFile(fdPath(f)); err != nil || string(text) != "text" {
			t.Errorf("read %q, %v; want text", text, err)
		}
	}
}

// TestKubeUsage: what is wrong is said before anything is made.
func TestKubeUsage(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: NAME}\nspec: {containers: [{name: a, image: busybox, imagePullPolicy: Never}]}\n"
	one := file("one.yaml", strings.Replace(pod, "NAME", "one", 1))
	two := file("two.yaml", strings.Replace(pod, "NAME", "one", 1)+"---\n"+strings.Replace(pod, "NAME", "two", 1))
	same := file("same.yaml", strings.Replace(pod, "NAME", "one", 1)+"---\n"+strings.Replace(pod, "NAME", "one", 1))
	roots := []string{"--pod-root", dir + "/run", "--lib-root", dir + "/lib", "--log-root", dir + "/log", "kube"}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"play"}, "0 arguments; its form is: podrt kube play [options] <manifest>"},
		{[]string{"play", dir + "/none.yaml"}, "none.yaml: no such file"},
		{[]string{"play", file("empty.yaml", "")}, "empty.yaml: no Pod"},
		{[]string{"play", two}, "2 Pods: only with --detach"},
		{[]string{"play", "-d", same}, `Pod "one": there is an earlier one of that name`},
		{[]string{"play", one}, `spec.containers[0].image: "busybox": image`},
		{[]string{"bundle", dir, dir + "/b"}, "podrt: read " + dir + ": is a directory"},
		{[]string{"bundle", two, dir + "/b"}, "2 Pods: a bundle is of one"},
		{[]string{"bundle", one, dir + "/b"}, "no such image"},
		{[]string{"play", "-"}, `Pod "stdin": spec.containers: required`},
	} {
		got := execute("apiVersion: v1\nkind: Pod\nmetadata: {name: stdin}\n", append(roots, c.args...)...)
		status := 1
		if c.args[0] == "play" && len(c.args) > 1 {
			status = notRun
		}
		if got.code != status || !strings.Contains(got.stderr, c.want) || got.stdout != "" {
			t.Errorf("kube %q: %+v; want status %d and %q", c.args, got, status, c.want)
		}
	}
	for _, name := range []string{"run/bundles", "b", "log"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was made", name)
		}
	}
}

// TestOwnDirectory: no bundle is written where others can put links.
func TestOwnDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := ownDirectory(dir); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := ownDirectory(dir); err == nil || !strings.Contains(err.Error(), "mode 0777") {
		t.Errorf("of a directory that all can write to: %v; want an error", err)
	}
}
