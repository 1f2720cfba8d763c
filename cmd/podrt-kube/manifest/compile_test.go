package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

// testHost is the host of the golden files.
func testHost() *Host {
	return &Host{
		Name: "node-1", IPs: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")},
		CPUs: 4, Memory: 8 << 30,
		DNS: sandbox.PodDNS{Servers: []string{"192.0.2.53"}, Searches: []string{"example.com"}, Options: []string{"ndots:2", "edns0"}},
		Devices: func() ([]specs.LinuxDevice, error) {
			return []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}}, nil
		},
		SeccompProfile: func(name string) ([]byte, error) {
			return os.ReadFile(filepath.Join("testdata/seccomp", name))
		},
	}
}

// testImages are images by reference; anything else is not there.
type testImages map[string]Image

func (i testImages) Image(ref, policy string, credentials []byte) (Image, error) {
	image, ok := i[ref]
	if !ok {
		return Image{}, fs.ErrNotExist
	}
	return image, nil
}

func newImages() testImages {
	lookup := func(name string) (User, error) {
		switch name {
		case "", "0", "root":
			return User{}, nil
		case "web", "101":
			return User{UID: 101, GID: 102, Additional: []uint32{102, 7}}, nil
		case "1000", "2000":
			var id uint32
			_, err := fmt.Sscan(name, &id)
			return User{UID: id}, err
		}
		return User{}, errors.New("no such user")
	}
	image := func(hex string, c ImageConfig) Image {
		return Image{Digest: "sha256:" + strings.Repeat(hex, 64), Config: c, Lookup: lookup}
	}
	return testImages{
		"busybox": image("b", ImageConfig{Cmd: []string{"sh"}}),
		"web:1": image("3", ImageConfig{
			User: "web", Env: []string{"PATH=/opt/bin:/bin", "LANG=C"}, Entrypoint: []string{"/entry"}, Cmd: []string{"serve"},
			WorkingDir: "/srv", StopSignal: "SIGQUIT",
		}),
		"scratch:1": image("5", ImageConfig{}),
	}
}

func readObjects(t *testing.T, file string) *Objects {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	o := new(Objects)
	if err := o.Read(filepath.Base(file), text); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestGolden compiles testdata/NAME.yaml, and compares with testdata/NAME.json:
// pod.json, each config.json without the seccomp filters, which are the library's,
// and the files. What every container has by default is in minimal.json alone.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			o := readObjects(t, file)
			var all []any
			for _, pod := range o.Pods {
				b, err := Compile(pod, o, testHost(), newImages())
				if err != nil {
					t.Fatal(err)
				}
				if filepath.Base(file) != "minimal.yaml" {
					withoutDefaults(b)
				}
				all = append(all, golden(b))
			}
			got, err := json.MarshalIndent(all, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			wantFile := strings.TrimSuffix(file, ".yaml") + ".json"
			if *update {
				if err := os.WriteFile(wantFile, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s differs; -update writes it:\n%s", wantFile, firstDifference(string(got), string(want)))
			}
		})
	}
}

func golden(b *Bundle) map[string]any {
	out := map[string]any{"pod.json": b.Spec}
	configs := map[string]any{}
	for _, c := range b.Containers {
		if s := c.Config.Linux.Seccomp; s != nil {
			c.Config.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: s.DefaultAction}
		}
		configs[c.Name] = c.Config
	}
	out["config.json"] = configs
	var files []string
	for _, f := range b.Files {
		files = append(files, fmt.Sprintf("%v %d %s %q", f.Mode, f.GID, f.Path, f.Data))
	}
	out["files"] = files
	return out
}

// withoutDefaults takes out of each config.json what it has if nobody says anything.
func withoutDefaults(b *Bundle) {
	for _, c := range b.Containers {
		s := c.Config
		if reflect.DeepEqual(s.Mounts, defaultMounts(false)) {
			s.Mounts = nil
		}
		if slices.Equal(s.Process.Capabilities.Bounding, defaultCapabilities) {
			s.Process.Capabilities = nil
		}
		if slices.Equal(s.Linux.MaskedPaths, maskedPaths) && slices.Equal(s.Linux.ReadonlyPaths, readonlyPaths) {
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d:\n got %s\nwant %s", i+1, g[i], strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
		}
	}
	return "it ends early"
}

// asked is how an image was asked for.
type asked struct{ ref, policy, credentials string }

type askedImages struct {
	testImages
	asked []asked
}

func (i *askedImages) Image(ref, policy string, credentials []byte) (Image, error) {
	i.asked = append(i.asked, asked{ref, policy, string(credentials)})
	return i.testImages.Image(ref, policy, credentials)
}

// TestImages: images are asked for by the Pod's policies, with its credentials, and
// nothing else of the Secrets.
func TestImages(t *testing.T) {
	o := new(Objects)
	if err := o.Read("x", []byte(`
apiVersion: v1
kind: Secret
metadata: {name: one}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"credsStore": "evil", "auths": {"a.example": {"auth": "b25l"}, "b.example": {"auth": "b25l"}}}'}
---
apiVersion: v1
kind: Secret
metadata: {name: two}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths": {"b.example": {"auth": "dHdv"}}}'}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  imagePullSecrets: [{name: one}, {name: two}]
  initContainers: [{name: a, image: busybox}]
  containers: [{name: b, image: 'web:1'}, {name: c, image: busybox, imagePullPolicy: Never}]
`)); err != nil {
		t.Fatal(err)
	}
	images := &askedImages{testImages: newImages()}
	if _, err := Compile(o.Pods[0], o, testHost(), images); err != nil {
		t.Fatal(err)
	}
	const credentials = `{"auths":{"a.example":{"auth":"b25l"},"b.example":{"auth":"b25l"}}}`
	want := []asked{{"busybox", "Always", credentials}, {"web:1", "IfNotPresent", credentials}, {"busybox", "Never", credentials}}
	if !slices.Equal(images.asked, want) {
		t.Errorf("asked for %q; want %q", images.asked, want)
	}
}

// TestSeccomp: the filter goes by the capabilities.
func TestSeccomp(t *testing.T) {
	allows := func(spec, call string) bool {
		o := new(Objects)
		if err := o.Read("x", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: busybox, securityContext: "+spec+"}]}")); err != nil {
			t.Fatal(err)
		}
		b, err := Compile(o.Pods[0], o, testHost(), newImages())
		if err != nil {
			t.Fatal(err)
		}
		filter := b.Containers[0].Config.Linux.Seccomp
		if filter == nil {
			return true
		}
		for _, s := range filter.Syscalls {
			for _, name := range s.Names {
				if name == call && s.Action == specs.ActAllow && len(s.Args) == 0 {
					return true
				}
			}
		}
		return false
	}
	for _, c := range []struct {
		spec, call string
		want       bool
	}{
		{"{}", "read", true},
		{"{}", "mount", false},
		{"{capabilities: {add: [SYS_ADMIN]}}", "mount", true},
		{"{seccompProfile: {type: RuntimeDefault}}", "mount", false},
		{"{seccompProfile: {type: Unconfined}}", "mount", true},
		{"{privileged: true}", "mount", true},
		{"{seccompProfile: {type: Localhost, localhostProfile: chown.json}}", "chown", true},
		{"{seccompProfile: {type: Localhost, localhostProfile: chown.json}}", "read", false},
	} {
		if got := allows(c.spec, c.call); got != c.want {
			t.Errorf("securityContext %s: %s allowed: %v; want %v", c.spec, c.call, got, c.want)
		}
	}
}
