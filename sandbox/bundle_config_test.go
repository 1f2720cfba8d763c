package sandbox

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// configWith is a good config.json with further members.
func configWith(members string) string {
	return strings.TrimSuffix(smallConfig, "}") + ", " + members + "}"
}

func mustPodSpec(t *testing.T, doc string) *PodSpec {
	t.Helper()
	spec, err := ParsePodSpec("pod.json", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestParseMemberConfig(t *testing.T) {
	own := mustPodSpec(t, podWith(`"share": []`))
	pod := mustPodSpec(t, podWith(`"containers": []`))
	for _, c := range []struct {
		name string
		pod  *PodSpec
		in   string
	}{
		{"small", pod, smallConfig},
		{"unknown fields", pod, configWith(`"futre": {"a": [1, {}]}, "annotations": {"a": ""}, "linux": {"sched": 1}`)},
		{"null", pod, configWith(`"linux": null, "mounts": null, "hooks": {"prestart": null}`)},
		{"letter case", pod, configWith(`"Hostname": "x"`)},
		{"duplicate unknown", pod, configWith(`"x": 1, "x": 2`)},
		{"namespaces without path", pod, configWith(`"linux": {"namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}]}`)},
		{"path of a kind that the pod leaves alone", own, configWith(`"linux": {"namespaces": [{"type": "network", "path": "/run/netns/x"}, {"type": "pid", "path": "/proc/1/ns/pid"}]}`)},
		{"own network", mustPodSpec(t, podWith(`"share": ["ipc"]`)), configWith(`"linux": {"netDevices": {"eth1": {}}}`)},
		{"absolute hook", pod, configWith(`"hooks": {"poststop": [{"path": "/bin/true"}]}`)},
		{"own user namespace", pod, configWith(`"linux": {"namespaces": [{"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}`)},
		{"own clocks", pod, configWith(`"linux": {"timeOffsets": {"boottime": {"secs": 1}}}`)},
		{"later version", pod, strings.Replace(smallConfig, "1.0.2", "1.99.0-rc.1+x", 1)},
		{"any value", pod, configWith(`"windows": {"layerFolders": [], "credentialSpec": [{}]}`)},
	} {
		got, err := parseMemberConfig("config.json", []byte(c.in), c.pod, PodContainer{})
		if err != nil {
			t.Errorf("%s: parseMemberConfig(%s): %v", c.name, c.in, err)
			continue
		}
		want := new(specs.Spec) // as runc reads it
		if err := json.Unmarshal([]byte(c.in), want); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: parseMemberConfig(%s) = %+v; want %+v", c.name, c.in, got, want)
		}
	}
}

// TestParseMemberConfigOfImage: the root is the image's, and config.json must not
// look as if it were another.
func TestParseMemberConfigOfImage(t *testing.T) {
	pod := mustPodSpec(t, podWith(`"containers": []`))
	image := PodContainer{Image: "sha256:" + strings.Repeat("a", 64)}
	if _, err := parseMemberConfig("config.json", []byte(smallConfig), pod, image); err != nil {
		t.Errorf("root.path rootfs: %v", err)
	}
	for path, want := range map[string]string{
		"root": `config.json: root.path: "root": must be "rootfs": the container's root is its image (pod.json: image)`,
		"":     `config.json: root.path: required`,
		"/srv": `config.json: root.path: "/srv": must be a relative path that stays in the container's bundle`,
	} {
		in := strings.Replace(smallConfig, `"rootfs"`, strconv.Quote(path), 1)
		if _, err := parseMemberConfig("config.json", []byte(in), pod, image); err == nil || err.Error() != want {
			t.Errorf("root.path %q: %v; want %s", path, err, want)
		}
	}
}

func TestParseMemberConfigRefuses(t *testing.T) {
	pod := mustPodSpec(t, podWith(`"containers": []`))
	for _, c := range []struct {
		name string
		pod  *PodSpec
		in   string
		want string
	}{
		{"null", pod, `null`, `null: must be an object`},
		{"nothing", pod, `{}`, "ociVersion: required\nprocess: required\nroot: required"},
		{
			"empty parts", pod, `{"ociVersion": "1.0", "process": {}, "root": {}}`,
			"ociVersion: \"1.0\": not a semantic version\nprocess.args: required: what to run\nprocess.cwd: required\nroot.path: required",
		},
		{
			"version", pod, `{"ociVersion": "2.0.0", "process": {"args": [""], "cwd": "tmp"}, "root": {"path": "../rootfs"}}`,
			"ociVersion: \"2.0.0\": not supported; this podrt implements 1.3.0\nprocess.args[0]: \"\": must name what to run\n" +
				"process.cwd: \"tmp\": must be an absolute path\nroot.path: \"../rootfs\": must be a relative path that stays in the container's bundle",
		},
		{
			"terminal", pod, strings.Replace(smallConfig, `"args"`, `"terminal": true, "args"`, 1),
			"process.terminal: true: must be false: a pod's containers run side by side and have no terminal (podrt pod exec -t gives one)",
		},
		{
			"absolute root", pod, strings.Replace(smallConfig, `"rootfs"`, `"/srv"`, 1),
			`root.path: "/srv": must be a relative path that stays in the container's bundle`,
		},
		{
			"wrong types", pod, `{"ociVersion": 1, "process": {"args": "sh", "env": [1], "user": {"uid": "root"}, "rlimits": [{"hard": -1}]}, "mounts": {}, "linux": {"resources": {"memory": {"limit": "1g"}}, "rootfsPropagation": null}}`,
			`ociVersion: 1: must be a string
process.args: "sh": must be an array
process.env[0]: 1: must be a string
process.user.uid: "root": must be an integer from 0 to 4294967295
process.rlimits[0].hard: -1: must be an integer of 64 bits, not negative
mounts: {}: must be an array
linux.resources.memory.limit: "1g": must be an integer of 64 bits`,
		},
		{"letter case", pod, configWith(`"Hostname": 5`), `Hostname: 5: must be a string`},
		{"duplicate", pod, configWith(`"hostname": "a", "HOSTNAME": "b", "process": {}`), "HOSTNAME: \"b\": duplicate key\nprocess: {}: duplicate key"},
		{"NUL", pod, configWith(`"hostname": "a\u0000b"`), `hostname: "a\x00b": must not contain a NUL byte`},
		{"too deep", pod, configWith(`"x": ` + strings.Repeat("[", 64) + strings.Repeat("]", 64)), `line 1, column 162: nested deeper than 64`},
		{"too large", pod, strings.Repeat(" ", maxConfigJSON+1), `4194305 bytes: must be at most 4194304`},
		{
			"cgroups path", pod, configWith(`"linux": {"cgroupsPath": "/x"}`),
			`linux.cgroupsPath: "/x": must not be set: the container's cgroup is below its pod's (pod.json: cgroupParent)`,
		},
		{"sysctl", pod, configWith(`"linux": {"sysctl": {"net.core.somaxconn": "1"}}`), `linux.sysctl: must not be set: sysctls are the pod's (pod.json: sysctls)`},
		{
			"namespace paths", pod, configWith(`"linux": {"namespaces": [{"type": "uts", "path": "/proc/1/ns/uts"}, {"type": "network", "path": "/run/netns/x"}, {"type": "pid", "path": "/proc/1/ns/pid"}]}`),
			"linux.namespaces[0].path: \"/proc/1/ns/uts\": uts namespace: the pod has one that its containers share (pod.json: share)\n" +
				"linux.namespaces[1].path: \"/run/netns/x\": network namespace: the pod has one that its containers share (pod.json: share)",
		},
		{
			"namespace paths of the host's", mustPodSpec(t, podWith(`"host": ["pid"], "network": {"mode": "host"}`)),
			configWith(`"linux": {"namespaces": [{"type": "pid", "path": "/proc/1/ns/pid"}, {"type": "network", "path": "/run/netns/x"}]}`),
			"linux.namespaces[0].path: \"/proc/1/ns/pid\": pid namespace: the pod uses the host's (pod.json: host)\n" +
				"linux.namespaces[1].path: \"/run/netns/x\": network namespace: the pod's network is \"host\" (pod.json: network.mode)",
		},
		{
			"mappings", mustPodSpec(t, idMapWith(`{"containerID": 0, "hostID": 1000, "size": 1}`)),
			configWith(`"linux": {"uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}]}`),
			"linux.uidMappings: must not be set: the user namespace is the pod's (pod.json: userNamespace)\n" +
				"linux.gidMappings: must not be set: the user namespace is the pod's (pod.json: userNamespace)",
		},
		{
			"clocks", mustPodSpec(t, podWith(`"share": ["time"]`)), configWith(`"linux": {"timeOffsets": {"boottime": {"secs": 1}}}`),
			`linux.timeOffsets: must not be set: the time namespace is the pod's (pod.json: timeOffsets)`,
		},
		{
			"network devices", pod, configWith(`"linux": {"netDevices": {"eth1": {}}}`),
			"linux.netDevices: must not be set: the devices would be all containers': network namespace: the pod has one that its containers share (pod.json: share)",
		},
		{
			"network devices of the host", mustPodSpec(t, podWith(`"network": {"mode": "host"}`)), configWith(`"linux": {"netDevices": {"eth1": {}}}`),
			`linux.netDevices: must not be set: the devices would be all containers': network namespace: the pod's network is "host" (pod.json: network.mode)`,
		},
		{
			"relative hooks", pod, configWith(`"hooks": {"prestart": [{"path": "/a"}, {"path": "b"}], "createRuntime": [{"path": "c"}], "createContainer": [{"path": ""}],
				"startContainer": [{"path": "./d"}], "poststart": [{"path": "e"}], "poststop": [{"path": "../f"}]}`),
			`hooks.prestart[1].path: "b": must be an absolute path
hooks.createRuntime[0].path: "c": must be an absolute path
hooks.createContainer[0].path: "": must be an absolute path
hooks.startContainer[0].path: "./d": must be an absolute path
hooks.poststart[0].path: "e": must be an absolute path
hooks.poststop[0].path: "../f": must be an absolute path`,
		},
	} {
		got, err := parseMemberConfig("config.json", []byte(c.in), c.pod, PodContainer{})
		if got != nil || err == nil {
			t.Errorf("%s: parseMemberConfig(%s) = %+v, %v; want an error", c.name, c.in, got, err)
			continue
		}
		if want := "config.json: " + strings.ReplaceAll(c.want, "\n", "\nconfig.json: "); err.Error() != want {
			t.Errorf("%s: parseMemberConfig(%s)\n got %s\nwant %s", c.name, c.in, err, want)
		}
	}
}

func TestSemverMajor(t *testing.T) {
	for v, want := range map[string]int{
		"1.0.0": 1, "1.0.2-dev": 1, "1.3.0+dev": 1, "10.20.30": 10, "0.1.0": 0, "1.0.0-rc.1+b-1": 1,
		"": -1, "1": -1, "1.0": -1, "1.0.0.0": -1, "v1.0.0": -1, "1.0.x": -1, "1.0.-1": -1, "01.0.0": -1, "1.0.0-": -1, "1..0": -1, "-1.0.0": -1, "1.0.0 ": -1,
	} {
		got, ok := semverMajor(v)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("semverMajor(%q) = %d, %v; want %d", v, got, ok, want)
		}
	}
}
