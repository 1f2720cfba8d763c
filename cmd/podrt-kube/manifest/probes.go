package manifest

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podrt/podrt/sandbox"
)

// probes gives a container in pod.json its probes and lifecycle handlers. What they
// may say is checked with pod.json, whose paths are the same.
func (c *compiler) probes(at string, k *corev1.Container, out *sandbox.PodContainer) {
	out.LivenessProbe = c.probe(at+".livenessProbe", k, k.LivenessProbe)
	out.ReadinessProbe = c.probe(at+".readinessProbe", k, k.ReadinessProbe)
	out.StartupProbe = c.probe(at+".startupProbe", k, k.StartupProbe)
	if l := k.Lifecycle; l != nil && (l.PostStart != nil || l.PreStop != nil) {
		out.Lifecycle = &sandbox.Lifecycle{
			PostStart: c.handler(at+".lifecycle.postStart", k, l.PostStart),
			PreStop:   c.handler(at+".lifecycle.preStop", k, l.PreStop),
		}
	}
}

func (c *compiler) probe(at string, k *corev1.Container, p *corev1.Probe) *sandbox.Probe {
	if p == nil {
		return nil
	}
	out := &sandbox.Probe{
		HTTPGet:                       c.httpGet(at+".httpGet", k, p.HTTPGet),
		InitialDelaySeconds:           int64(p.InitialDelaySeconds),
		TimeoutSeconds:                int64(p.TimeoutSeconds),
		PeriodSeconds:                 int64(p.PeriodSeconds),
		SuccessThreshold:              int64(p.SuccessThreshold),
		FailureThreshold:              int64(p.FailureThreshold),
		TerminationGracePeriodSeconds: p.TerminationGracePeriodSeconds,
	}
	if p.Exec != nil {
		out.Exec = &sandbox.ExecAction{Command: c.expandStatic(at+".exec.command", k, p.Exec.Command)}
	}
	if t := p.TCPSocket; t != nil {
		out.TCPSocket = &sandbox.TCPSocketAction{Port: c.port(at+".tcpSocket.port", k, t.Port), Host: t.Host}
	}
	if g := p.GRPC; g != nil {
		out.GRPC = &sandbox.GRPCAction{Port: c.port(at+".grpc.port", k, intstr.FromInt32(g.Port))}
		if g.Service != nil {
			out.GRPC.Service = *g.Service
		}
		if g.Mode != nil {
			c.oneOf(at+".grpc.mode", string(*g.Mode), "Plaintext")
		}
	}
	return out
}

// expandStatic expands the command of a probe as the kubelet does: only of the values
// that env itself has (k8s.io/kubernetes/pkg/kubelet/container,
// ExpandContainerCommandOnlyStatic). What Secrets hold so stays out of pod.json.
func (c *compiler) expandStatic(at string, k *corev1.Container, command []string) []string {
	static := make(map[string]string, len(k.Env))
	for _, v := range k.Env {
		static[v.Name] = v.Value
	}
	return c.expandAll(at, command, &environment{values: static})
}

func (c *compiler) handler(at string, k *corev1.Container, h *corev1.LifecycleHandler) *sandbox.LifecycleHandler {
	if h == nil {
		return nil
	}
	out := &sandbox.LifecycleHandler{HTTPGet: c.httpGet(at+".httpGet", k, h.HTTPGet)}
	if h.Exec != nil {
		out.Exec = &sandbox.ExecAction{Command: h.Exec.Command}
	}
	if h.Sleep != nil {
		out.Sleep = &sandbox.SleepAction{Seconds: h.Sleep.Seconds}
	}
	return out
}

func (c *compiler) httpGet(at string, k *corev1.Container, h *corev1.HTTPGetAction) *sandbox.HTTPGetAction {
	if h == nil {
		return nil
	}
	out := &sandbox.HTTPGetAction{Path: h.Path, Port: c.port(at+".port", k, h.Port), Host: h.Host, Scheme: string(h.Scheme)}
	if h.Protocol != nil {
		c.oneOf(at+".protocol", string(*h.Protocol), "HTTP1")
	}
	for _, header := range h.HTTPHeaders {
		out.HTTPHeaders = append(out.HTTPHeaders, sandbox.HTTPHeader{Name: header.Name, Value: header.Value})
	}
	return out
}

// port is a number, or that of the container's port of that name.
func (c *compiler) port(at string, k *corev1.Container, p intstr.IntOrString) uint16 {
	n := int(p.IntVal)
	if p.Type == intstr.String {
		for _, port := range k.Ports {
			if port.Name == p.StrVal {
				return uint16(port.ContainerPort)
			}
		}
		var err error
		if n, err = strconv.Atoi(p.StrVal); err != nil {
			c.addf(at, "%s: the container has no port of that name", quote(p.StrVal))
			return 0
		}
	}
	if n < 1 || n > 65535 {
		c.addf(at, "%d: must be 1 to 65535", n)
		return 0
	}
	return uint16(n)
}
