package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/rung"
)

// smallPod is a pod of one container, with more members at the end: `, "x": 1`.
func smallPod(more string) string {
	return `{"podVersion": "0.1.0", "metadata": {"name": "p"}, "containers": [{"name": "app"}]` + more + `}`
}

// TestBadBundle gives pod run bundles with one thing wrong each.
func TestBadBundle(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	a.makeRoots(t)
	outside := filepath.Join(a.dir, "outside")
	shell(t, outside, ends)

	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		words []string // DIR stands for the bundle
	}{
		{"missing", func(t *testing.T, dir string) { removeAll(t, dir) }, []string{`open pod bundle "DIR": no such file or directory`}},
		{"not a directory", func(t *testing.T, dir string) { removeAll(t, dir); write(t, dir, "") }, []string{`open pod bundle "DIR": not a directory`}},
		{"no pod.json", func(t *testing.T, dir string) { removeAll(t, dir+"/pod.json") }, []string{`open pod bundle "DIR": open DIR/pod.json: no such file or directory`}},
		{"pod.json is a directory", func(t *testing.T, dir string) { removeAll(t, dir+"/pod.json"); mkdir(t, dir+"/pod.json") }, []string{`read DIR/pod.json: not a regular file`}},
		{"pod.json leads out", func(t *testing.T, dir string) { symlink(t, "/etc/passwd", dir+"/pod.json") }, []string{`open DIR/pod.json: symbolic link leaves the pod bundle`}},
		{"not JSON", func(t *testing.T, dir string) { write(t, dir+"/pod.json", "podVersion: 0.1.0") }, []string{"DIR/pod.json:", "line 1"}},
		{"empty", func(t *testing.T, dir string) { write(t, dir+"/pod.json", "") }, []string{"DIR/pod.json:"}},
		{"cut off", func(t *testing.T, dir string) { write(t, dir+"/pod.json", smallPod("")[:40]) }, []string{"DIR/pod.json:"}},
		{"unknown field", func(t *testing.T, dir string) { write(t, dir+"/pod.json", smallPod(`, "hostnam": "x"`)) }, []string{"DIR/pod.json: hostnam: ", "unknown field"}},
		{"wrong type", func(t *testing.T, dir string) { write(t, dir+"/pod.json", smallPod(`, "shmSize": "64m"`)) }, []string{`DIR/pod.json: shmSize: "64m": must be an integer`}},
		{"wrong podVersion", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", strings.Replace(smallPod(""), "0.1.0", "7.0.0", 1))
		}, []string{`DIR/pod.json: podVersion: "7.0.0": not supported; this podrt reads 0.1.0`}},
		{"no name", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", `{"podVersion": "0.1.0", "metadata": {}}`)
		}, []string{"DIR/pod.json: metadata.name: required"}},
		{"bad name", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", strings.Replace(smallPod(""), `"p"`, `"../p"`, 1))
		}, []string{`DIR/pod.json: metadata.name: "../p": must match`}},
		{"restart policy", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", smallPod(`, "restartPolicy": "Sometimes"`))
		}, []string{`DIR/pod.json: restartPolicy: "Sometimes": must be Always, OnFailure or Never`}},
		{"unknown sysctl", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", smallPod(`, "sysctls": {"vm.swappiness": "1"}`))
		}, []string{`DIR/pod.json: sysctls["vm.swappiness"]: `, "not"}},
		{"sysctl of the host's network", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", smallPod(`, "sysctls": {"net.core.somaxconn": "1"}, "network": {"mode": "host"}`))
		}, []string{`DIR/pod.json: sysctls["net.core.somaxconn"]: "1": the pod has no network namespace of its own: network.mode is "host"`}},
		{"long hostname", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", smallPod(`, "hostname": "`+strings.Repeat("h", 65)+`"`))
		}, []string{`DIR/pod.json: hostname: `, "64"}},
		{"overlapping id maps", func(t *testing.T, dir string) {
			m := `[{"containerID": 0, "hostID": 1000, "size": 10}, {"containerID": 5, "hostID": 2000, "size": 10}]`
			write(t, dir+"/pod.json", smallPod(`, "userNamespace": {"uidMappings": `+m+`, "gidMappings": `+m+`}`))
		}, []string{"userNamespace.uidMappings[1].containerID: 5: range overlaps that of entry 0", "userNamespace.gidMappings[1].containerID: 5"}},
		{"missing volume", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", strings.Replace(smallPod(""), `"app"`, `"app", "volumeMounts": [{"name": "v", "mountPath": "/v"}]`, 1))
		}, []string{`DIR/pod.json: containers[0].volumeMounts[0].name: "v": the pod has no such volume`}},
		{"subPath with dots", func(t *testing.T, dir string) {
			write(t, dir+"/pod.json", strings.Replace(smallPod(`, "volumes": [{"name": "v", "emptyDir": {}}]`), `"app"`, `"app", "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a/../../b"}]`, 1))
		}, []string{`DIR/pod.json: containers[0].volumeMounts[0].subPath: "a/../../b": must not contain ".."`}},

		{"no container bundle", func(t *testing.T, dir string) { removeAll(t, dir+"/containers/app") }, []string{`open container bundle: open DIR/containers/app: no such file or directory`}},
		{"container bundle leads out", func(t *testing.T, dir string) { symlink(t, outside, dir+"/containers/app") }, []string{"open DIR/containers/app: symbolic link leaves the pod bundle"}},
		{"containers leads out", func(t *testing.T, dir string) {
			mkdir(t, a.dir+"/elsewhere")
			_ = os.Rename(dir+"/containers/app", a.dir+"/elsewhere/app")
			symlink(t, a.dir+"/elsewhere", dir+"/containers")
		}, []string{"open DIR/containers/app: symbolic link leaves the pod bundle"}},
		{"no config.json", func(t *testing.T, dir string) { removeAll(t, dir+"/containers/app/config.json") }, []string{"open DIR/containers/app/config.json: no such file or directory"}},
		{"config.json not JSON", func(t *testing.T, dir string) { write(t, dir+"/containers/app/config.json", "{,}") }, []string{"DIR/containers/app/config.json:"}},
		{"wrong ociVersion", config(func(s *specs.Spec) { s.Version = "2.0.0" }), []string{`DIR/containers/app/config.json: ociVersion: "2.0.0": not supported; this podrt implements ` + specs.Version}},
		{"no ociVersion", config(func(s *specs.Spec) { s.Version = "" }), []string{"DIR/containers/app/config.json: ociVersion: required"}},
		{"no process", config(func(s *specs.Spec) { s.Process = nil }), []string{"DIR/containers/app/config.json: process: required"}},
		{"terminal", config(func(s *specs.Spec) { s.Process.Terminal = true }), []string{"DIR/containers/app/config.json: process.terminal: true: must be false"}},
		{"pod-level sysctl", config(func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.core.somaxconn": "1"} }), []string{"DIR/containers/app/config.json: linux.sysctl: must not be set"}},
		{"pod-level cgroup", config(func(s *specs.Spec) { s.Linux.CgroupsPath = "/x" }), []string{`DIR/containers/app/config.json: linux.cgroupsPath: "/x": must not be set`}},
		{"namespace path", config(func(s *specs.Spec) { s.Linux.Namespaces[1].Path = "/proc/1/ns/net" }), []string{`DIR/containers/app/config.json: linux.namespaces[1].path: "/proc/1/ns/net": network namespace`}},

		{"no rootfs", func(t *testing.T, dir string) { removeAll(t, dir+"/containers/app/rootfs") }, []string{`root path "rootfs" of bundle "DIR/containers/app" does not exist`}},
		{"rootfs is a file", func(t *testing.T, dir string) {
			removeAll(t, dir+"/containers/app/rootfs")
			write(t, dir+"/containers/app/rootfs", "")
		}, []string{`root path "rootfs" of bundle "DIR/containers/app": not a directory`}},
		{"rootfs leads out", func(t *testing.T, dir string) { symlink(t, outside+"/rootfs", dir+"/containers/app/rootfs") }, []string{`root path "rootfs" of bundle "DIR/containers/app" is a symlink out of the bundle (to "`}},
		{"rootfs leads to the host", func(t *testing.T, dir string) { symlink(t, "/", dir+"/containers/app/rootfs") }, []string{`root path "rootfs" of bundle "DIR/containers/app" is a symlink out of the bundle (to "/")`}},
		{"rootfs absolute", config(func(s *specs.Spec) { s.Root.Path = outside + "/rootfs" }), []string{"DIR/containers/app/config.json: root.path: ", "must be a relative path that stays in the container's bundle"}},
	} {
		for _, detach := range [][]string{nil, {"-d"}} {
			name := tt.name
			if detach != nil {
				if brief() {
					break
				}
				name += " -d"
			}
			dir := podBundle(t, filepath.Join(a.dir, "bundle"), smallPod(""), map[string]string{"app": ends})
			tt.spoil(t, dir)
			words := make([]string, len(tt.words))
			for i, w := range tt.words {
				words[i] = strings.ReplaceAll(w, "DIR", dir)
			}
			a.refuse(t, []refusal{{name: name, args: append(append([]string{"pod", "run"}, detach...), dir), code: 125, words: words}})
			removeAll(t, dir)
		}
	}
}

// config changes the config.json of a container, "app" if there is no other.
func config(change func(*specs.Spec), container ...string) func(t *testing.T, dir string) {
	name := strings.Join(append(container, "app")[:1], "")
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, "containers", name, "config.json")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var s specs.Spec
		if err := json.Unmarshal(b, &s); err != nil {
			t.Fatal(err)
		}
		change(&s)
		writeJSON(t, path, s)
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// symlink replaces path by a symbolic link.
func symlink(t *testing.T, target, path string) {
	t.Helper()
	removeAll(t, path)
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
