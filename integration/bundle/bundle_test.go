package bundle

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

func needBusybox(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/bin/busybox"); err != nil {
		t.Skipf("%v: apt-get install busybox-static", err)
	}
}

func TestRoot(t *testing.T) {
	needBusybox(t)
	dir := t.TempDir()
	if err := Root(dir); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(dir, "bin/sh"), "-c", filepath.Join(dir, "bin/busybox")+" --list").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(out))
	for _, name := range applets {
		if !slices.Contains(list, name) {
			t.Errorf("busybox has no applet %q", name)
		}
	}
	for _, name := range []string{"proc", "sys", "dev"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("root has /%s (%v); want it to be left to the runtime", name, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "tmp")); err != nil || info.Mode() != fs.ModeDir|fs.ModeSticky|0o777 {
		t.Errorf("/tmp: %v, %v; want mode 1777", info, err)
	}
}

func TestRootProbe(t *testing.T) {
	needBusybox(t)
	if os.Getenv(ProbeEnv) == "" {
		t.Skip(ProbeEnv + " is not set")
	}
	dir := t.TempDir()
	if err := Root(dir); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(dir, "probe"), "read", filepath.Join(dir, "etc/group")).CombinedOutput()
	if want := "root:x:0:\nnogroup:x:65534:\n"; err != nil || string(out) != want {
		t.Errorf("probe read: %q, %v; want %q", out, err, want)
	}
}

// TestSpec compares with what podrt spec prints.
func TestSpec(t *testing.T) {
	want := sandbox.ExampleSpec(false)
	want.Process.Terminal = false
	want.Process.Args = []string{"id", "-u"}
	// Where the host has no unified cgroup v2, podrt spec leaves this one out.
	if cgroup := (specs.LinuxNamespace{Type: specs.CgroupNamespace}); !slices.Contains(want.Linux.Namespaces, cgroup) {
		want.Linux.Namespaces = append(want.Linux.Namespaces, cgroup)
	}
	if got, want := asJSON(t, Spec("id", "-u")), asJSON(t, want); got != want {
		t.Errorf("Spec = %s; want %s", got, want)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestWritePod has sandbox read what WritePod writes.
func TestWritePod(t *testing.T) {
	needBusybox(t)
	dir := filepath.Join(t.TempDir(), "pod")
	p := NewPod("web", Pod{"volumes": []any{map[string]any{"name": "data", "emptyDir": map[string]any{}}}})
	mounts := map[string]any{"volumeMounts": []any{map[string]any{"name": "data", "mountPath": "/data"}}}
	err := WritePod(dir, p,
		Container{Name: "app", Member: mounts, Spec: Spec("true")},
		Container{Name: "other", Spec: Spec("false")})
	if err != nil {
		t.Fatal(err)
	}
	b, err := sandbox.LoadPodBundle(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Spec.Metadata.Name; got != "web" {
		t.Errorf("name %q; want %q", got, "web")
	}
	c := b.Containers
	if len(c) != 2 || c[0].Name != "app" || c[1].Name != "other" || c[0].Config.Process.Args[0] != "true" || c[1].Config.Process.Args[0] != "false" {
		t.Fatalf("containers %+v; want app and other as written", c)
	}
	if m := b.Spec.Containers[0].VolumeMounts; len(m) != 1 || m[0].MountPath != "/data" {
		t.Errorf("volume mounts %+v; want one at /data", m)
	}
}
