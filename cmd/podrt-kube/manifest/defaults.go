package manifest

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Defaults that an API server fills in
// (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go) and that have a meaning here.

const defaultGracePeriod = 30 // seconds

func setDefaults(pod *corev1.Pod) {
	s := &pod.Spec
	pod.Namespace = orDefault(pod.Namespace, defaultNamespace)
	s.RestartPolicy = orDefault(s.RestartPolicy, corev1.RestartPolicyAlways)
	s.DNSPolicy = orDefault(s.DNSPolicy, corev1.DNSClusterFirst)
	if s.TerminationGracePeriodSeconds == nil {
		s.TerminationGracePeriodSeconds = new(int64(defaultGracePeriod))
	}
	if s.SecurityContext == nil {
		s.SecurityContext = &corev1.PodSecurityContext{}
	}
	if s.ServiceAccountName == "" {
		s.ServiceAccountName = orDefault(s.DeprecatedServiceAccount, "default")
	}
	for i := range s.Volumes {
		v := &s.Volumes[i].VolumeSource
		if *v == (corev1.VolumeSource{}) {
			v.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
	}
	for _, list := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range list {
			setContainerDefaults(s, &list[i])
		}
	}
	if s.Resources != nil {
		requestLimits(s.Resources)
	}
}

func setContainerDefaults(s *corev1.PodSpec, c *corev1.Container) {
	if c.SecurityContext == nil {
		c.SecurityContext = &corev1.SecurityContext{}
	}
	c.ImagePullPolicy = orDefault(c.ImagePullPolicy, pullPolicy(c.Image))
	for i := range c.Ports {
		p := &c.Ports[i]
		p.Protocol = orDefault(p.Protocol, corev1.ProtocolTCP)
		if s.HostNetwork {
			p.HostPort = orDefault(p.HostPort, p.ContainerPort)
		}
	}
	requestLimits(&c.Resources)
}

// requestLimits has what is limited and not requested be requested.
func requestLimits(r *corev1.ResourceRequirements) {
	for name, q := range r.Limits {
		if _, ok := r.Requests[name]; !ok {
			if r.Requests == nil {
				r.Requests = corev1.ResourceList{}
			}
			r.Requests[name] = q.DeepCopy()
		}
	}
}

// pullPolicy is that of a reference: its tag may be moved on if it is latest.
func pullPolicy(image string) corev1.PullPolicy {
	if strings.Contains(image, "@") {
		return corev1.PullIfNotPresent
	}
	_, tag, ok := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	if !ok || tag == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}
