package sandbox

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// AnnotationEnginePods of a container's config.json turns pods behind engines
// off ("false") or on for this container: what the engine's annotations say of
// its pod is ignored, then.
const AnnotationEnginePods = "dev.podrt.engine-pods"

// Annotations that more than one engine writes.
const (
	annotationManager    = "io.container.manager" // "cri-o", or "libpod" for podman
	annotationCRIOMeta   = "io.kubernetes.cri-o.Metadata"
	annotationKubePodUID = "io.kubernetes.pod.uid"
	annotationKubeName   = "io.kubernetes.container.name"
)

// engineClaim is what the annotations of an engine's container say of its pod.
// The values are the pod author's: names are what may be printed, or empty.
type engineClaim struct {
	engine    string // containerd, cri-o, podman, docker
	sandbox   bool   // it is the sandbox container itself, whose namespaces are the pod's
	sandboxID string // id of the sandbox container
	key       string // the annotation that says so

	namespace, name, uid string // of the pod, as Kubernetes has them
	attempt              uint32 // how often the engine made the pod before, where it says so
	container            string // name of the container in the pod
}

// dialect is how one engine names a pod in annotations.
type dialect struct {
	engine                                 string
	kind, sandbox, container               string // annotation with the container's type, its two values
	sandboxID                              string
	podName, podNamespace, podUID, ctrName string
}

// dialects of containerd's CRI plugin (names and uid since 1.5 and 1.7), CRI-O
// and podman, and the labels of dockershim and cri-dockerd, where they are
// passed on as annotations.
var dialects = [...]dialect{
	{
		engine: "containerd",
		kind:   "io.kubernetes.cri.container-type", sandbox: "sandbox", container: "container",
		sandboxID: "io.kubernetes.cri.sandbox-id", podName: "io.kubernetes.cri.sandbox-name",
		podNamespace: "io.kubernetes.cri.sandbox-namespace", podUID: "io.kubernetes.cri.sandbox-uid",
		ctrName: "io.kubernetes.cri.container-name",
	},
	{
		engine: "cri-o",
		kind:   "io.kubernetes.cri-o.ContainerType", sandbox: "sandbox", container: "container",
		sandboxID: "io.kubernetes.cri-o.SandboxID", podName: "io.kubernetes.cri-o.KubeName",
		podNamespace: "io.kubernetes.cri-o.Namespace", podUID: annotationKubePodUID,
		ctrName: annotationKubeName,
	},
	{
		engine: "docker",
		kind:   "io.kubernetes.docker.type", sandbox: "podsandbox", container: "container",
		sandboxID: "io.kubernetes.sandbox.id", podName: "io.kubernetes.pod.name",
		podNamespace: "io.kubernetes.pod.namespace", podUID: annotationKubePodUID,
		ctrName: annotationKubeName,
	},
}

// parseClaim reads the annotations of the container with that id; nil when they
// name no pod of an engine. Annotations that cannot be meant for the container
// are none: a sandbox that says it is another one, an id that can be no
// container's. They come from outside and are no reason for an error.
func parseClaim(annotations map[string]string, id string) *engineClaim {
	for i := range dialects {
		d := &dialects[i]
		kind, ok := annotations[d.kind]
		// CRI-O passes on what authors of pods write, and so the words of other
		// engines, but its own name is its own.
		if manager := annotations[annotationManager]; !ok || manager != "" && d.engine != "cri-o" {
			continue
		}
		c := &engineClaim{
			engine: d.engine, sandbox: kind == d.sandbox, sandboxID: annotations[d.sandboxID], key: d.sandboxID,
			namespace: engineWord(annotations[d.podNamespace]), name: engineWord(annotations[d.podName]),
			uid: engineWord(annotations[d.podUID]), container: engineWord(annotations[d.ctrName]),
		}
		switch kind {
		case d.sandbox:
			// Docker's sandboxes do not repeat their id. Of the others it is asked, for
			// it is what the author of an image or a pod, whose annotations may be
			// passed on, cannot know.
			if d.engine == "docker" {
				c.sandboxID, c.key = id, d.kind
			}
			if c.sandboxID != id {
				return nil
			}
		case d.container:
		default:
			return nil
		}
		if !validSandboxID(c.sandboxID) || !validSandboxID(id) {
			return nil
		}
		if d.engine == "cri-o" {
			c.readCRIO(annotations)
		}
		return c
	}
	return nil
}

// engineKey returns the annotation by which an engine says of the container that
// it is in a pod, whatever else it says; "" if there is none.
func engineKey(annotations map[string]string) string {
	for i := range dialects {
		if _, ok := annotations[dialects[i].kind]; ok {
			return dialects[i].kind
		}
	}
	return ""
}

// readCRIO adds what only CRI-O says: metadata of the pod, for a sandbox, or of
// the container. podman writes a few of the same annotations.
func (c *engineClaim) readCRIO(annotations map[string]string) {
	if annotations[annotationManager] == "libpod" {
		c.engine = "podman"
	}
	var meta struct {
		Name      string `json:"name"`
		UID       string `json:"uid"`
		Namespace string `json:"namespace"`
		Attempt   uint32 `json:"attempt"`
	}
	if json.Unmarshal([]byte(annotations[annotationCRIOMeta]), &meta) != nil {
		return
	}
	or := func(s, other string) string {
		if s != "" {
			return s
		}
		return engineWord(other)
	}
	if !c.sandbox {
		c.container = or(c.container, meta.Name)
		return
	}
	c.name, c.namespace, c.uid = or(c.name, meta.Name), or(c.namespace, meta.Namespace), or(c.uid, meta.UID)
	c.attempt = meta.Attempt
}

// podName is what a pod is called: NAMESPACE/NAME, NAME where the engine has no
// namespaces, or the beginning of the sandbox's id.
func (c *engineClaim) podName() string {
	switch {
	case c.name == "":
		return c.sandboxID[:min(12, len(c.sandboxID))]
	case c.namespace == "":
		return c.name
	}
	return c.namespace + "/" + c.name
}

// engineWord returns s if it can be part of a name that is printed and looked
// up; pod authors choose it, and it may be anything.
func engineWord(s string) string {
	if len(s) > 253 { // as the names of Kubernetes
		return ""
	}
	for i := range len(s) {
		if !wordByte(s[i]) {
			return ""
		}
	}
	return s
}

// validSandboxID reports whether s can be the id of a sandbox container, and with
// it the name of a pod's directory.
func validSandboxID(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' {
		return false
	}
	for i := range len(s) {
		if !wordByte(s[i]) && s[i] != '+' {
			return false
		}
	}
	return true
}

func wordByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '.' || b == '_' || b == '-'
}

// enginePodsOn reads the switch. A word that is none is an error: whoever wrote
// it wants something.
func enginePodsOn(annotations map[string]string, def bool) (bool, error) {
	v, ok := annotations[AnnotationEnginePods]
	if !ok {
		return def, nil
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		return false, fmt.Errorf("annotation %s: %q: must be \"true\" or \"false\"", AnnotationEnginePods, v)
	}
	return on && def, nil
}

// namesPod reports whether a cgroup's name says that it is the pod's own:
// kubelet's has the pod's UID in it (with "_" for "-" where it is a slice),
// others the sandbox's id.
func (c *engineClaim) namesPod(cgroup string) bool {
	for _, word := range []string{c.uid, strings.ReplaceAll(c.uid, "-", "_"), c.sandboxID} {
		if len(word) >= 8 && strings.Contains(cgroup, word) {
			return true
		}
	}
	return false
}
