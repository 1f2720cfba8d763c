package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podrt/podrt/sandbox"
)

// environment are the variables that a Pod gives a container, in order.
type environment struct {
	names  []string
	values map[string]string
	late   map[string]string // those with the pod's addresses: addressEnv of pod.json
}

func (e *environment) set(name, value string) {
	delete(e.late, name)
	if _, ok := e.values[name]; !ok {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

// setLate sets a variable to what is known when the pod has been made.
func (e *environment) setLate(name, what string) {
	if _, ok := e.values[name]; ok {
		delete(e.values, name)
		e.names = slices.DeleteFunc(e.names, func(n string) bool { return n == name })
	}
	if e.late == nil {
		e.late = map[string]string{}
	}
	e.late[name] = what
}

func (e *environment) get(name string) (string, bool) {
	v, ok := e.values[name]
	return v, ok
}

// over are the variables of an image with e's over them.
func (e *environment) over(image []string) []string {
	out := make([]string, 0, len(image)+len(e.names))
	for _, v := range image {
		name, _, _ := strings.Cut(v, "=")
		if _, ok := e.values[name]; !ok {
			out = append(out, v)
		}
	}
	for _, name := range e.names {
		out = append(out, name+"="+e.values[name])
	}
	return out
}

// environments are those of the containers, by name.
func (c *compiler) environments() map[string]*environment {
	all := map[string]*environment{}
	eachContainer(&c.pod.Spec, func(at string, k *corev1.Container, init bool) {
		all[k.Name] = c.environment(at, k)
	})
	return all
}

// environment is the kubelet's makeEnvironmentVariables: envFrom, and then env,
// whose values may refer to what is set before them.
func (c *compiler) environment(at string, k *corev1.Container) *environment {
	e := &environment{values: map[string]string{}}
	for i := range k.EnvFrom {
		c.envFrom(e, index(at+".envFrom", i), &k.EnvFrom[i])
	}
	for i := range k.Env {
		v, at := &k.Env[i], index(at+".env", i)
		if v.ValueFrom == nil {
			c.set(e, at+".value", v.Name, c.expand(at+".value", v.Value, e))
			continue
		}
		if what := c.address(v.ValueFrom); what != "" {
			e.setLate(v.Name, what)
			continue
		}
		if v.Value != "" {
			c.addf(at+".valueFrom", "not together with value")
		}
		if value, ok := c.valueFrom(at+".valueFrom", k, v.ValueFrom); ok {
			c.set(e, at+".valueFrom", v.Name, value)
		}
	}
	return e
}

// address says which of its addresses, not known yet, a variable is to hold; "" if it
// is none.
func (c *compiler) address(from *corev1.EnvVarSource) string {
	if r := from.FieldRef; r != nil && sources(from) == 1 && !c.pod.Spec.HostNetwork {
		switch r.FieldPath {
		case "status.podIP":
			return sandbox.AddressFirst
		case "status.podIPs":
			return sandbox.AddressAll
		}
	}
	return ""
}

// expand replaces references to variables in the field at that path.
func (c *compiler) expand(at, s string, e *environment) string {
	if c.size > maxBundle {
		return ""
	}
	out, unknown := expand(s, e.get, maxString)
	for _, name := range unknown {
		if _, ok := e.late[name]; ok {
			c.addf(at, "%s: $(%s) is the pod's address, which is known when the pod has been made: have a shell expand it", quote(s), name)
		}
	}
	return out
}

// expandAll is expand for a list.
func (c *compiler) expandAll(at string, list []string, e *environment) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = c.expand(index(at, i), s, e)
		c.argument(index(at, i), out[i])
	}
	return out
}

// envFrom sets all of a ConfigMap or Secret.
func (c *compiler) envFrom(e *environment, at string, from *corev1.EnvFromSource) {
	if errs := validation.IsRelaxedEnvVarName(from.Prefix); from.Prefix != "" && len(errs) > 0 {
		c.addf(at+".prefix", "%s: %s", quote(from.Prefix), errs[0])
		return
	}
	switch m, s := from.ConfigMapRef, from.SecretRef; {
	case m != nil && s != nil, m == nil && s == nil:
		c.addf(at, "must have one of configMapRef and secretRef")
	case m != nil:
		if found := c.findConfigMap(at+".configMapRef.name", m.Name, m.Optional); found != nil {
			for _, k := range slices.Sorted(maps.Keys(found.Data)) {
				c.set(e, at, from.Prefix+k, found.Data[k])
			}
		}
	default:
		if found := c.findSecret(at+".secretRef.name", s.Name, s.Optional); found != nil {
			for _, k := range slices.Sorted(maps.Keys(found.Data)) {
				c.set(e, at, from.Prefix+k, string(found.Data[k]))
			}
		}
	}
}

// set sets a variable, unless its value cannot be one.
func (c *compiler) set(e *environment, at, name, value string) {
	if c.argument(at+": "+quote(name), name+"="+value) {
		e.set(name, value)
	}
}

// valueFrom is the value of a variable; ok is false if it is not to be set, or
// something is wrong.
func (c *compiler) valueFrom(at string, k *corev1.Container, from *corev1.EnvVarSource) (value string, ok bool) {
	if n := sources(from); n != 1 {
		c.addf(at, "must have one source, not %d", n)
		return "", false
	}
	switch {
	case from.FieldRef != nil:
		return c.fieldRef(at+".fieldRef", from.FieldRef, true)
	case from.ResourceFieldRef != nil:
		return c.resourceFieldRef(at+".resourceFieldRef", k, from.ResourceFieldRef)
	case from.ConfigMapKeyRef != nil:
		r, at := from.ConfigMapKeyRef, at+".configMapKeyRef"
		m := c.findConfigMap(at+".name", r.Name, r.Optional)
		if m == nil {
			return "", false
		}
		if value, ok = m.Data[r.Key]; !ok && !on(r.Optional) {
			c.addf(at+".key", "%s: the ConfigMap %q has no such key in data", quote(r.Key), r.Name)
		}
		return value, ok
	case from.SecretKeyRef != nil:
		r, at := from.SecretKeyRef, at+".secretKeyRef"
		s := c.findSecret(at+".name", r.Name, r.Optional)
		if s == nil {
			return "", false
		}
		data, ok := s.Data[r.Key]
		if !ok && !on(r.Optional) {
			c.addf(at+".key", "%s: the Secret %q has no such key", quote(r.Key), r.Name)
		}
		return string(data), ok
	}
	return "", false // fileKeyRef, which is refused
}

// findConfigMap finds one that a field at that path names; nil if there is none,
// which is a problem unless it is optional.
func (c *compiler) findConfigMap(at, name string, optional *bool) *corev1.ConfigMap {
	m := c.objects.configMap(c.pod.Namespace, name)
	if m == nil && !on(optional) {
		c.addf(at, "%s: no such ConfigMap in namespace %q among the documents", quote(name), c.pod.Namespace)
	}
	return m
}

// findSecret is findConfigMap for a Secret.
func (c *compiler) findSecret(at, name string, optional *bool) *corev1.Secret {
	s := c.objects.secret(c.pod.Namespace, name)
	if s == nil && !on(optional) {
		c.addf(at, "%s: no such Secret in namespace %q among the documents", quote(name), c.pod.Namespace)
	}
	return s
}

// fieldRef is the value of a field of the Pod. Of a volume only metadata can be.
func (c *compiler) fieldRef(at string, r *corev1.ObjectFieldSelector, env bool) (string, bool) {
	if r.APIVersion != "" && r.APIVersion != "v1" {
		c.addf(at+".apiVersion", "%s: must be v1", quote(r.APIVersion))
		return "", false
	}
	m, s := &c.pod.ObjectMeta, &c.pod.Spec
	if k, ok := subscript(r.FieldPath, "metadata.labels"); ok {
		return m.Labels[k], true
	}
	if k, ok := subscript(r.FieldPath, "metadata.annotations"); ok {
		return m.Annotations[k], true
	}
	switch r.FieldPath {
	case "metadata.name":
		return m.Name, true
	case "metadata.namespace":
		return m.Namespace, true
	case "metadata.uid":
		if m.UID == "" {
			c.addf(at+".fieldPath", "%q: the Pod has none: set metadata.uid", r.FieldPath)
		}
		return string(m.UID), true
	}
	if !env {
		switch r.FieldPath {
		case "metadata.labels":
			return formatMap(m.Labels), true
		case "metadata.annotations":
			return formatMap(m.Annotations), true
		}
		c.addf(at+".fieldPath", "%s: must be a field of metadata: name, namespace, uid, labels, annotations", quote(r.FieldPath))
		return "", false
	}
	ips := make([]string, len(c.host.IPs))
	for i, ip := range c.host.IPs {
		ips[i] = ip.String()
	}
	switch r.FieldPath {
	case "spec.nodeName":
		return orDefault(s.NodeName, c.host.Name), true
	case "spec.serviceAccountName":
		return s.ServiceAccountName, true
	case "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs": // with the host's network one and the same
	default:
		c.addf(at+".fieldPath", "%s: must be metadata.name, namespace, uid, labels['KEY'] or annotations['KEY'], spec.nodeName or serviceAccountName, status.podIP, podIPs, hostIP or hostIPs", quote(r.FieldPath))
		return "", false
	}
	if len(ips) == 0 {
		c.addf(at+".fieldPath", "%q: the host has no address", r.FieldPath)
		return "", false
	}
	if strings.HasSuffix(r.FieldPath, "s") {
		return strings.Join(ips, ","), true
	}
	return ips[0], true
}

// subscript reads FIELD['KEY'].
func subscript(path, field string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(path, field+"['")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, "']")
}

// formatMap is the downward API's form of labels and annotations.
func formatMap(m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s=%q\n", k, m[k])
	}
	return strings.TrimSuffix(b.String(), "\n")
}
