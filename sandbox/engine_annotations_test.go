package sandbox

import (
	"maps"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/nsenter"
)

const (
	testSandbox   = "7e7b8d0d5b1c4f0e9a3f6c2d1b0a99887766554433221100ffeeddccbbaa9988"
	testContainer = "1c0ffee0d5b1c4f0e9a3f6c2d1b0a99887766554433221100ffeeddccbbaa998"
	testPodUID    = "b2c8e0f4-5a5b-4b0c-8c39-1f6f6b0f2a11"
)

// What the engines write into config.json, as their sources have it.
var engineSpecs = map[string]map[string]string{
	// containerd 1.4 (pkg/cri/server/sandbox_run_linux.go).
	"containerd 1.4 sandbox": {
		"io.kubernetes.cri.container-type":        "sandbox",
		"io.kubernetes.cri.sandbox-id":            testSandbox,
		"io.kubernetes.cri.sandbox-log-directory": "/var/log/pods/default_web_" + testPodUID,
	},
	// containerd 1.6 (container_create_linux.go).
	"containerd 1.6 container": {
		"io.kubernetes.cri.container-name":    "app",
		"io.kubernetes.cri.container-type":    "container",
		"io.kubernetes.cri.image-name":        "docker.io/library/busybox:latest",
		"io.kubernetes.cri.sandbox-id":        testSandbox,
		"io.kubernetes.cri.sandbox-name":      "web",
		"io.kubernetes.cri.sandbox-namespace": "default",
	},
	// containerd 2.x (internal/cri/annotations, DefaultCRIAnnotations).
	"containerd 2 sandbox": {
		"io.kubernetes.cri.container-type":        "sandbox",
		"io.kubernetes.cri.podsandbox.image-name": "registry.k8s.io/pause:3.10",
		"io.kubernetes.cri.sandbox-cpu-period":    "100000",
		"io.kubernetes.cri.sandbox-cpu-quota":     "0",
		"io.kubernetes.cri.sandbox-cpu-shares":    "2",
		"io.kubernetes.cri.sandbox-id":            testSandbox,
		"io.kubernetes.cri.sandbox-log-directory": "/var/log/pods/default_web_" + testPodUID,
		"io.kubernetes.cri.sandbox-memory":        "0",
		"io.kubernetes.cri.sandbox-name":          "web",
		"io.kubernetes.cri.sandbox-namespace":     "default",
		"io.kubernetes.cri.sandbox-uid":           testPodUID,
	},
	// CRI-O (server/sandbox_run_linux.go).
	"cri-o sandbox": {
		"io.container.manager":                  "cri-o",
		"io.kubernetes.cri-o.Annotations":       `{"kubernetes.io/config.source":"api"}`,
		"io.kubernetes.cri-o.CgroupParent":      "/kubepods/burstable/pod" + testPodUID,
		"io.kubernetes.cri-o.ContainerID":       testSandbox,
		"io.kubernetes.cri-o.ContainerName":     "k8s_POD_web_default_" + testPodUID + "_2",
		"io.kubernetes.cri-o.ContainerType":     "sandbox",
		"io.kubernetes.cri-o.HostName":          "web",
		"io.kubernetes.cri-o.KubeName":          "web",
		"io.kubernetes.cri-o.Labels":            `{"app":"web","io.kubernetes.pod.uid":"` + testPodUID + `"}`,
		"io.kubernetes.cri-o.Metadata":          `{"name":"web","uid":"` + testPodUID + `","namespace":"default","attempt":2}`,
		"io.kubernetes.cri-o.Name":              "k8s_web_default_" + testPodUID + "_2",
		"io.kubernetes.cri-o.Namespace":         "default",
		"io.kubernetes.cri-o.NamespaceOptions":  `{}`,
		"io.kubernetes.cri-o.PrivilegedRuntime": "false",
		"io.kubernetes.cri-o.SandboxID":         testSandbox,
		"io.kubernetes.cri-o.SandboxName":       "k8s_web_default_" + testPodUID + "_2",
	},
	// CRI-O (server/container_create_linux.go).
	"cri-o container": {
		"io.container.manager":              "cri-o",
		"io.kubernetes.cri-o.ContainerID":   testContainer,
		"io.kubernetes.cri-o.ContainerType": "container",
		"io.kubernetes.cri-o.Metadata":      `{"name":"app","attempt":1}`,
		"io.kubernetes.cri-o.Name":          "k8s_app_web_default_" + testPodUID + "_1",
		"io.kubernetes.cri-o.SandboxID":     testSandbox,
		"io.kubernetes.cri-o.SandboxName":   "k8s_web_default_" + testPodUID + "_2",
		"io.kubernetes.cri-o.TTY":           "false",
	},
	// podman 4.3.1, dumped: its infra container says nothing, a container names
	// the pod as the user did.
	"podman infra": {
		"io.container.manager":             "libpod",
		"io.kubernetes.cri-o.Created":      "2026-11-22T19:20:10.459278459Z",
		"io.kubernetes.cri-o.TTY":          "false",
		"io.podman.annotations.autoremove": "FALSE",
	},
	"podman container": {
		"io.container.manager":              "libpod",
		"io.kubernetes.cri-o.ContainerType": "container",
		"io.kubernetes.cri-o.Created":       "2026-11-22T19:20:10.459278459Z",
		"io.kubernetes.cri-o.SandboxID":     "web",
		"io.kubernetes.cri-o.TTY":           "false",
	},
	// Labels of dockershim and cri-dockerd (core/docker_service.go).
	"docker sandbox": {
		"io.kubernetes.docker.type":    "podsandbox",
		"io.kubernetes.container.name": "POD",
		"io.kubernetes.pod.name":       "web",
		"io.kubernetes.pod.namespace":  "default",
		"io.kubernetes.pod.uid":        testPodUID,
	},
	"docker container": {
		"io.kubernetes.docker.type":    "container",
		"io.kubernetes.sandbox.id":     testSandbox,
		"io.kubernetes.container.name": "app",
		"io.kubernetes.pod.name":       "web",
		"io.kubernetes.pod.namespace":  "default",
		"io.kubernetes.pod.uid":        testPodUID,
	},
}

func TestParseClaim(t *testing.T) {
	const crioKey, criKey = "io.kubernetes.cri-o.SandboxID", "io.kubernetes.cri.sandbox-id"
	for name, want := range map[string]*engineClaim{
		"containerd 1.4 sandbox":   {engine: "containerd", sandbox: true, key: criKey},
		"containerd 1.6 container": {engine: "containerd", key: criKey, namespace: "default", name: "web", container: "app"},
		"containerd 2 sandbox":     {engine: "containerd", sandbox: true, key: criKey, namespace: "default", name: "web", uid: testPodUID},
		"cri-o sandbox":            {engine: "cri-o", sandbox: true, key: crioKey, namespace: "default", name: "web", uid: testPodUID, attempt: 2},
		"cri-o container":          {engine: "cri-o", key: crioKey, container: "app"},
		"podman infra":             nil,
		"podman container":         {engine: "podman", key: crioKey, sandboxID: "web"},
		"docker sandbox":           {engine: "docker", sandbox: true, key: "io.kubernetes.docker.type", namespace: "default", name: "web", uid: testPodUID, container: "POD"},
		"docker container":         {engine: "docker", key: "io.kubernetes.sandbox.id", namespace: "default", name: "web", uid: testPodUID, container: "app"},
	} {
		id := testContainer
		if want != nil && want.sandbox {
			id = testSandbox
		}
		if want != nil && want.sandboxID == "" {
			want.sandboxID = testSandbox
		}
		got := parseClaim(engineSpecs[name], id)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("parseClaim(%s) = %+v; want %+v", name, got, want)
		}
	}
}

// TestParseClaimOdd: annotations are the pod author's, who may write anything.
func TestParseClaimOdd(t *testing.T) {
	for _, c := range []struct {
		name   string
		change map[string]string
		id     string
		want   func(*engineClaim) bool
	}{
		{"another's sandbox", nil, testContainer, nil},
		{"sandbox of no name", map[string]string{"io.kubernetes.cri.sandbox-id": ""}, testSandbox, nil},
		{"no type", map[string]string{"io.kubernetes.cri.container-type": ""}, testSandbox, nil},
		{"unknown type", map[string]string{"io.kubernetes.cri.container-type": "pod"}, testSandbox, nil},
		{"container of nothing", map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": ""}, testSandbox, nil},
		{"path for an id", map[string]string{"io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.sandbox-id": "../../etc"}, testSandbox, nil},
		{"hidden directory", map[string]string{"io.kubernetes.cri.sandbox-id": ".new-1"}, ".new-1", nil},
		{"dots", map[string]string{"io.kubernetes.cri.sandbox-id": ".."}, "..", nil},
		{"long id", map[string]string{"io.kubernetes.cri.sandbox-id": strings.Repeat("a", 129)}, strings.Repeat("a", 129), nil},
		{"terminal", map[string]string{"io.kubernetes.cri.sandbox-name": "\x1b[2J"}, testSandbox, func(c *engineClaim) bool { return c.podName() == testSandbox[:12] }},
		{"slashes", map[string]string{"io.kubernetes.cri.sandbox-namespace": "a/b"}, testSandbox, func(c *engineClaim) bool { return c.podName() == "web" }},
		{"line", map[string]string{"io.kubernetes.cri.sandbox-uid": "a\nb"}, testSandbox, func(c *engineClaim) bool { return c.uid == "" && c.podName() == "default/web" }},
		{"long name", map[string]string{"io.kubernetes.cri.sandbox-name": strings.Repeat("a", 254)}, testSandbox, func(c *engineClaim) bool { return c.name == "" }},
	} {
		annotations := maps.Clone(engineSpecs["containerd 2 sandbox"])
		maps.Copy(annotations, c.change)
		got := parseClaim(annotations, c.id)
		if (got == nil) != (c.want == nil) || got != nil && !c.want(got) {
			t.Errorf("%s: parseClaim = %+v", c.name, got)
		}
	}
	forged := maps.Clone(engineSpecs["cri-o container"])
	forged["io.kubernetes.cri.container-type"], forged["io.kubernetes.cri.sandbox-id"] = "container", "another"
	if got := parseClaim(forged, testContainer); got == nil || got.engine != "cri-o" || got.sandboxID != testSandbox {
		t.Errorf("parseClaim of CRI-O's with another engine's words = %+v; want CRI-O's", got)
	}
	crio := maps.Clone(engineSpecs["cri-o sandbox"])
	crio["io.kubernetes.cri-o.Metadata"] = "{"
	if got := parseClaim(crio, testSandbox); got == nil || got.podName() != "default/web" || got.uid != "" {
		t.Errorf("parseClaim with broken metadata = %+v; want what else is known", got)
	}
}

func TestEnginePodsOn(t *testing.T) {
	for _, c := range []struct {
		value     string
		def, want bool
	}{{"", true, true}, {"", false, false}, {"false", true, false}, {"true", true, true}, {"true", false, false}, {"0", true, false}} {
		annotations := map[string]string{AnnotationEnginePods: c.value}
		if c.value == "" {
			annotations = nil
		}
		if got, err := enginePodsOn(annotations, c.def); err != nil || got != c.want {
			t.Errorf("enginePodsOn(%q, %t) = %t, %v; want %t", c.value, c.def, got, err, c.want)
		}
	}
	if _, err := enginePodsOn(map[string]string{AnnotationEnginePods: "no"}, true); err == nil || !strings.Contains(err.Error(), `"no"`) {
		t.Errorf("enginePodsOn(no) = %v; want an error with the value", err)
	}
}

func TestNamesPod(t *testing.T) {
	c := &engineClaim{uid: testPodUID, sandboxID: testSandbox}
	for cgroup, want := range map[string]bool{
		"pod" + testPodUID: true,
		"kubepods-burstable-pod" + strings.ReplaceAll(testPodUID, "-", "_") + ".slice": true,
		"crio-" + testSandbox: true, "k8s.io": false, "machine.slice": false, "/": false, "": false,
	} {
		if got := c.namesPod(cgroup); got != want {
			t.Errorf("namesPod(%q) = %t; want %t", cgroup, got, want)
		}
	}
	if (&engineClaim{uid: "1", sandboxID: "s"}).namesPod("1s") {
		t.Error("namesPod by a short word = true; want false")
	}
}

func TestDescribe(t *testing.T) {
	p := &Pod{rec: podRecord{Engine: &enginePod{}}}
	p.describe(&specs.Spec{Hostname: "h", Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
		{Type: specs.PIDNamespace},
		{Type: specs.MountNamespace},
		{Type: specs.IPCNamespace},
		{Type: specs.CgroupNamespace},
		{Type: specs.NetworkNamespace, Path: "/run/netns/cni"},
	}}})
	e := p.rec.Engine
	if len(e.Kinds) != 3 || e.Kinds[0] != nsenter.IPC || e.Kinds[1] != nsenter.Net || e.Kinds[2] != nsenter.PID {
		t.Errorf("kinds %q; want ipc, net, pid", e.Kinds)
	}
	if len(e.Given) != 1 || e.Given[nsenter.Net] != "/run/netns/cni" || p.rec.Spec.Network.Mode != "engine" || p.rec.Spec.Hostname != "h" {
		t.Errorf("given %v, spec %+v", e.Given, p.rec.Spec)
	}
	p.describe(&specs.Spec{})
	if p.rec.Spec.Network.Mode != "host" {
		t.Errorf("network mode %q of a spec without namespaces; want host", p.rec.Spec.Network.Mode)
	}
}

// TestLabelContainers: of the containers with one name, the live one has it.
func TestLabelContainers(t *testing.T) {
	recs := []containerRecord{{Name: "1", Label: "app"}, {Name: "2", Label: "app"}, {Name: "3"}, {Name: "4", Label: "app"}}
	cs := []ContainerStatus{{Name: "1", Status: "stopped"}, {Name: "2", Status: "running"}, {Name: "3", Status: "running"}, {Name: "4", Status: "running"}}
	labelContainers(cs, recs)
	got := ""
	for _, c := range cs {
		got += c.Name + " "
	}
	if got != "1 app 3 4 " {
		t.Errorf("names %q; want 1 app 3 4", got)
	}
}
