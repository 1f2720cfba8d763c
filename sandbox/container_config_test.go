package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/opencontainers/cgroups"
	"github.com/opencontainers/runc/libcontainer/utils"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Nothing in a container's configuration may come from the working directory,
// which is one for all containers of a process.
func TestContainerPaths(t *testing.T) {
	real := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	spec := ExampleSpec(false)
	spec.Root.Path = "root"
	spec.Annotations = map[string]string{"a": "b", "bundle": "/forged"}
	spec.Mounts = []specs.Mount{
		{Destination: "/rel", Source: "data", Options: []string{"bind"}},
		{Destination: "/rrel", Source: "../up", Options: []string{"rbind", "ro"}},
		{Destination: "/abs", Source: "/data", Options: []string{"bind"}},
		{Destination: "/tmp", Source: "tmpfs", Type: "tmpfs"},
	}
	before := *spec
	before.Mounts = append([]specs.Mount(nil), spec.Mounts...)

	config, err := (&ContainerConfig{ID: "x", Bundle: link, Spec: spec, CgroupPath: "/other"}).libcontainer()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(real, "root"); config.Rootfs != want {
		t.Errorf("root = %q; want %q", config.Rootfs, want)
	}
	bundle, annotations := utils.Annotations(config.Labels)
	if bundle != real || !reflect.DeepEqual(annotations, map[string]string{"a": "b"}) {
		t.Errorf("bundle = %q, annotations %v; want %q, and a=b", bundle, annotations, real)
	}
	var sources []string
	for _, m := range config.Mounts {
		sources = append(sources, m.Source)
	}
	want := []string{filepath.Join(real, "data"), filepath.Join(filepath.Dir(real), "up"), "/data", "tmpfs"}
	if !reflect.DeepEqual(sources, want) {
		t.Errorf("sources of mounts = %q; want %q", sources, want)
	}
	if config.Cgroups.Path != "/other" {
		t.Errorf("cgroup = %q; want /other", config.Cgroups.Path)
	}
	if spec.Root.Path != "root" || !reflect.DeepEqual(spec.Mounts, before.Mounts) || spec.Linux.CgroupsPath != "" {
		t.Error("the caller's spec was changed")
	}
}

// TestContainerForgedAnnotations: libcontainer keeps annotations as KEY=VALUE, and
// what is before the first "=" is the key when they are read back. No key says that
// the container is in another pod than it is, or in one at all.
func TestContainerForgedAnnotations(t *testing.T) {
	annotations := func(own map[string]string) map[string]string {
		t.Helper()
		spec := ExampleSpec(false)
		spec.Annotations = map[string]string{"a": "b", "c=d": "e"}
		for k, v := range own {
			spec.Annotations[k] = v
		}
		for i := range 8 { // those of a map come in any order
			spec.Annotations[fmt.Sprintf("%s=forged-%d", AnnotationPod, i)] = "x"
			spec.Annotations[fmt.Sprintf("a=forged-%d", i)] = "x"
		}
		config, err := (&ContainerConfig{ID: "x", Bundle: t.TempDir(), Spec: spec}).libcontainer()
		if err != nil {
			t.Fatal(err)
		}
		_, got := utils.Annotations(config.Labels)
		return got
	}
	want := map[string]string{"a": "b", "c": "d=e", AnnotationPod: "uid"}
	if got := annotations(map[string]string{AnnotationPod: "uid"}); !reflect.DeepEqual(got, want) {
		t.Errorf("annotations of a pod's container = %v; want %v", got, want)
	}
	delete(want, AnnotationPod)
	if got := annotations(nil); !reflect.DeepEqual(got, want) {
		t.Errorf("annotations of a plain container = %v; want %v", got, want)
	}
}

func TestContainerConfigErrors(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		change func(*ContainerConfig)
		want   string
	}{
		"missing bundle": {func(c *ContainerConfig) { c.Bundle = dir + "/missing" }, "lstat " + dir + "/missing: no such file or directory"},
		"no root":        {func(c *ContainerConfig) { c.Spec.Root = nil }, "root must be specified"},
		"namespace":      {func(c *ContainerConfig) { c.Spec.Linux.Namespaces[0].Type = "x" }, `namespace {"x" ""} does not exist`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := &ContainerConfig{ID: "x", Bundle: dir, Spec: ExampleSpec(false)}
			tt.change(cfg)
			if _, err := cfg.libcontainer(); err == nil || err.Error() != tt.want {
				t.Errorf("error %v; want %s", err, tt.want)
			}
		})
	}
}

func TestIntent(t *testing.T) {
	dir := t.TempDir()
	if in, err := readIntent(dir); in != nil || err != nil {
		t.Errorf("readIntent of an empty directory = %v, %v; want nothing", in, err)
	}
	want := &containerIntent{Version: intentVersion, ID: "x", Pod: "p", Cgroups: &cgroups.Cgroup{Path: "/x"}, CgroupPaths: map[string]string{"": "/sys/fs/cgroup/x"}}
	if err := writeJSON(filepath.Join(dir, intentFile), want); err != nil {
		t.Fatal(err)
	}
	got, err := readIntent(dir)
	if err != nil || got.ID != "x" || got.Pod != "p" || got.cgroup() != "/sys/fs/cgroup/x" || got.Cgroups.Path != "/x" {
		t.Errorf("readIntent = %+v, %v; want %+v", got, err, want)
	}
	want.Version = 99
	if err := writeJSON(filepath.Join(dir, intentFile), want); err != nil {
		t.Fatal(err)
	}
	if _, err := readIntent(dir); err == nil {
		t.Error("readIntent of a later version: no error")
	}
}
