package manifest

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podrt/podrt/sandbox"
)

// Bundle is a pod bundle.
type Bundle struct {
	Spec       *sandbox.PodSpec // defaults not filled in
	Containers []Container      // in the order in which they start
	Files      []File           // of volumes; a directory before what is in it
}

// Container is the OCI bundle of a container, but for its root file system.
type Container struct {
	Name   string
	Config *specs.Spec
}

// compiler holds what the parts of a compilation share.
type compiler struct {
	problems
	pod     *corev1.Pod
	objects *Objects
	host    *Host
	out     *Bundle

	resources   podResources
	credentials []byte // for registries, as of Images
	size        int    // bytes of out, as charge counts them
}

// Compile makes the bundle of a Pod. Its ConfigMaps and Secrets are objects'. All
// that is wrong with the Pod is reported before an image is asked for.
func Compile(pod *Pod, objects *Objects, host *Host, images Images) (*Bundle, error) {
	c := newCompiler(pod, objects, host)
	drafts, err := c.prepare()
	if err != nil {
		return nil, err
	}
	for _, d := range drafts {
		c.complete(d, images)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.out, c.check()
}

// Check reports what [Compile] finds wrong without looking at images.
func Check(pod *Pod, objects *Objects, host *Host) error {
	_, err := newCompiler(pod, objects, host).prepare()
	return err
}

func newCompiler(pod *Pod, objects *Objects, host *Host) *compiler {
	return &compiler{
		problems: problems{in: fmt.Sprintf("%s: Pod %q", pod.File, pod.Name)},
		pod:      pod.DeepCopy(), objects: objects, host: host,
		out: &Bundle{Spec: &sandbox.PodSpec{PodVersion: sandbox.PodVersion}},
	}
}

// prepare makes all but what images say of the containers.
func (c *compiler) prepare() ([]*draft, error) {
	c.refuse(c.pod)
	setDefaults(c.pod)
	c.validate(c.pod)
	// What follows counts on names that are unique, references that lead somewhere.
	if err := c.err(); err != nil {
		return nil, err
	}
	c.metadata()
	c.namespaces()
	c.network()
	c.life()
	c.podResources()
	c.volumes()
	c.pullSecrets()
	environments := c.environments()
	if err := c.err(); err != nil {
		return nil, err
	}
	var drafts []*draft
	eachContainer(&c.pod.Spec, func(at string, k *corev1.Container, init bool) {
		drafts = append(drafts, c.draft(at, k, init, environments[k.Name]))
	})
	if err := c.err(); err != nil {
		return nil, err
	}
	return drafts, c.check()
}

// check has the runtime read what was made: a value that only it knows to be wrong,
// such as that of a sysctl, is reported by its path in pod.json.
func (c *compiler) check() error {
	text, err := json.Marshal(c.out.Spec)
	if err != nil {
		return err
	}
	if _, err := sandbox.ParsePodSpec(c.in+": pod.json", text); err != nil {
		return err
	}
	return nil
}

// namespaceLabel is the label by which Kubernetes' runtimes know the namespace of a
// pod (k8s.io/kubelet/pkg/types, KubernetesPodNamespaceLabel).
const namespaceLabel = "io.kubernetes.pod.namespace"

func (c *compiler) metadata() {
	m := &c.out.Spec.Metadata
	m.Name, m.UID = c.pod.Name, string(c.pod.UID)
	m.Labels = map[string]string{namespaceLabel: c.pod.Namespace}
	for k, v := range c.pod.Labels {
		m.Labels[k] = v
	}
	m.Annotations = c.pod.Annotations
}

// namespaces says which namespaces the containers share, and which are the host's.
// With the host's network comes its host name, as containerd has it.
func (c *compiler) namespaces() {
	s, out := &c.pod.Spec, c.out.Spec
	if s.HostIPC {
		out.Host = append(out.Host, "ipc")
	}
	if s.HostPID {
		out.Host = append(out.Host, "pid")
	}
	if s.HostNetwork {
		out.Host = append(out.Host, "uts")
	}
	if on(s.ShareProcessNamespace) {
		out.Share = []string{"net"}
		if !s.HostIPC {
			out.Share = append(out.Share, "ipc")
		}
		if !s.HostNetwork {
			out.Share = append(out.Share, "uts")
		}
		out.Share = append(out.Share, "pid")
	}
	for _, sysctl := range s.SecurityContext.Sysctls {
		if out.Sysctls == nil {
			out.Sysctls = make(map[string]string, len(s.SecurityContext.Sysctls))
		}
		out.Sysctls[sysctl.Name] = sysctl.Value
	}
}

// life says how long the pod and its containers live.
func (c *compiler) life() {
	s, out := &c.pod.Spec, c.out.Spec
	out.RestartPolicy = string(s.RestartPolicy)
	out.TerminationGracePeriodSeconds = s.TerminationGracePeriodSeconds
}
