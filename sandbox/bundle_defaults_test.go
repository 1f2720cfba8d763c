package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestDefaults(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{
			`{"podVersion": "0.1.0", "metadata": {"name": "my_web.1"}}`,
			`{"podVersion": "0.1.0", "metadata": {"name": "my_web.1"}, "hostname": "my-web.1",
			"share": ["net", "ipc", "uts"], "network": {"mode": "none"}, "shmSize": 67108864,
			"restartPolicy": "Never", "terminationGracePeriodSeconds": 10, "containers": []}`,
		},
		{ // What the host has, the pod does not share; it has no host name of its own.
			podWith(`"host": ["ipc", "uts"]`),
			podWith(`"host": ["ipc", "uts"], "share": ["net"], "network": {"mode": "none"}, "shmSize": 67108864,
			"restartPolicy": "Never", "terminationGracePeriodSeconds": 10, "containers": []`),
		},
		{ // An empty list is not a missing one; 0 seconds are not the default.
			podWith(`"share": [], "terminationGracePeriodSeconds": 0, "hostname": "h", "shmSize": 1`),
			podWith(`"share": [], "terminationGracePeriodSeconds": 0, "hostname": "h", "shmSize": 1,
			"network": {"mode": "none"}, "restartPolicy": "Never", "containers": []`),
		},
		{ // The user namespace is implied.
			idMapWith(`{"containerID": 0, "hostID": 1000, "size": 1}`),
			podWith(`"share": ["net", "ipc", "uts", "user"], "hostname": "web", "network": {"mode": "none"}, "shmSize": 67108864,
			"userNamespace": {"uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}], "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]},
			"restartPolicy": "Never", "terminationGracePeriodSeconds": 10, "containers": []`),
		},
		{
			podWith(`"restartPolicy": "Always"`),
			podWith(`"restartPolicy": "Always", "restartBackOff": {"initialSeconds": 10, "maxSeconds": 300}, "hostname": "web",
			"share": ["net", "ipc", "uts"], "network": {"mode": "none"}, "shmSize": 67108864, "terminationGracePeriodSeconds": 10, "containers": []`),
		},
		{
			podWith(`"restartPolicy": "OnFailure", "restartBackOff": {"initialSeconds": 400}`),
			podWith(`"restartPolicy": "OnFailure", "restartBackOff": {"initialSeconds": 400, "maxSeconds": 400}, "hostname": "web",
			"share": ["net", "ipc", "uts"], "network": {"mode": "none"}, "shmSize": 67108864, "terminationGracePeriodSeconds": 10, "containers": []`),
		},
		{ // Of probes and handlers; 0 is left out.
			podWith(`"containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 0}, "lifecycle": {"preStop": {"httpGet": {"port": 81, "path": ""}}}}]`),
			podWith(`"containers": [{"name": "a",
			"livenessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
			"lifecycle": {"preStop": {"httpGet": {"port": 81, "path": "/", "scheme": "HTTP"}}}}], "hostname": "web", "network": {"mode": "none"},
			"share": ["net", "ipc", "uts"], "shmSize": 67108864, "restartPolicy": "Never", "terminationGracePeriodSeconds": 10`),
		},
		{ // Who asks for a port wants a network.
			podWith(`"network": {"ports": [{"containerPort": 80}]}`),
			podWith(`"network": {"mode": "bridge", "ports": [{"containerPort": 80}]}, "hostname": "web",
			"share": ["net", "ipc", "uts"], "shmSize": 67108864, "restartPolicy": "Never", "terminationGracePeriodSeconds": 10, "containers": []`),
		},
		{ // So does who limits its bandwidth, in Kubernetes' way.
			`{"podVersion": "0.1.0", "metadata": {"name": "web", "annotations": {"kubernetes.io/egress-bandwidth": "10M"}}}`,
			`{"podVersion": "0.1.0", "metadata": {"name": "web", "annotations": {"kubernetes.io/egress-bandwidth": "10M"}}, "network": {"mode": "bridge"}, "hostname": "web",
			"share": ["net", "ipc", "uts"], "shmSize": 67108864, "restartPolicy": "Never", "terminationGracePeriodSeconds": 10, "containers": []}`,
		},
	} {
		spec, err := ParsePodSpec("pod.json", []byte(c.in))
		if err != nil {
			t.Errorf("ParsePodSpec(%s): %v", c.in, err)
			continue
		}
		got, err := json.Marshal(spec)
		if err != nil {
			t.Fatal(err)
		}
		if !sameJSON(t, got, []byte(c.want)) {
			t.Errorf("ParsePodSpec(%s), encoded, is\n%s\nwant\n%s", c.in, got, c.want)
		}
	}
}

// checkFixedPoint verifies that a parsed spec, written down, is what it was
// when it is read again, and that the room that makes volumes takes its own.
func checkFixedPoint(t *testing.T, spec *PodSpec) {
	t.Helper()
	for _, v := range spec.Volumes {
		if v.BundlePath != nil {
			continue // is pinned as a subPath of the bundle
		}
		if err := v.volume().Check(); err != nil {
			t.Fatalf("rootfs does not take %+v, which was parsed: %v", v, err)
		}
	}
	stored, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParsePodSpec("stored", stored)
	if err != nil {
		t.Fatalf("ParsePodSpec(%s): %v; want it to take what it gave", stored, err)
	}
	restored, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if string(restored) != string(stored) {
		t.Fatalf("ParsePodSpec(%s), encoded, is\n%s", stored, restored)
	}
	// Empty and absent are the same once they have been written down.
	third, err := ParsePodSpec("restored", restored)
	if err != nil || !reflect.DeepEqual(again, third) {
		t.Fatalf("ParsePodSpec(%s) = %+v, %v; want %+v", restored, third, err, again)
	}
}

func TestFixedPoint(t *testing.T) {
	for _, dir := range exampleBundles(t) {
		data, err := os.ReadFile(filepath.Join(dir, PodSpecFile))
		if err != nil {
			t.Fatal(err)
		}
		spec, err := ParsePodSpec(dir, data)
		if err != nil {
			t.Error(err)
			continue
		}
		checkFixedPoint(t, spec)
	}
}

func FuzzParsePodSpec(f *testing.F) {
	for _, dir := range exampleBundles(f) {
		data, err := os.ReadFile(filepath.Join(dir, PodSpecFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, c := range badPodSpecs() {
		if len(c.in) < 4096 {
			f.Add([]byte(c.in))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if spec, err := ParsePodSpec("pod.json", data); err == nil {
			checkFixedPoint(t, spec)
		}
	})
}

func TestRename(t *testing.T) {
	for _, c := range []struct{ hostname, want string }{
		{"", "b-1"},
		{"fixed", "fixed"},
	} {
		s := NewPodSpec("a")
		if c.hostname != "" {
			s.Hostname = c.hostname
		}
		s.Rename("b_1")
		if s.Metadata.Name != "b_1" || s.Hostname != c.want {
			t.Errorf("Rename of a pod with hostname %q = name %q, hostname %q; want %q, %q", c.hostname, s.Metadata.Name, s.Hostname, "b_1", c.want)
		}
	}
}
