package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Objects are the documents of manifests.
type Objects struct {
	Pods       []*Pod
	ConfigMaps []*corev1.ConfigMap
	Secrets    []*corev1.Secret
}

// Pod is a Pod and the file that it is from.
type Pod struct {
	*corev1.Pod
	File string
}

// MaxManifest is how many bytes a manifest may have.
const MaxManifest = 16 << 20

// defaultNamespace is that of what names none.
const defaultNamespace = "default"

// Read adds the documents of a manifest: YAML, or JSON, which is YAML. A field that
// the types do not have, or that is given twice, is an error; so is a kind that is
// none of Pod, ConfigMap, Secret and a List of them. file is the name in messages.
func (o *Objects) Read(file string, data []byte) error {
	if len(data) > MaxManifest {
		return fmt.Errorf("%s: more than %d bytes", file, MaxManifest)
	}
	var errs []error
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err == nil {
			err = o.add(file, doc, true)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: document %d: %w", file, n, err))
		}
	}
}

// add reads one document, which may be a List if lists is set.
func (o *Objects) add(file string, doc []byte, lists bool) error {
	if empty(doc) {
		return nil
	}
	if err := checkAliases(doc); err != nil {
		return err
	}
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return err
	}
	if head.Kind == "" || head.APIVersion == "" {
		return errors.New("no apiVersion and kind: not an object of Kubernetes")
	}
	switch head.APIVersion + " " + head.Kind {
	case "v1 Pod":
		pod := new(corev1.Pod)
		if err := decode(doc, pod); err != nil {
			return fmt.Errorf("%s %q: %w", head.Kind, pod.Name, err)
		}
		o.Pods = append(o.Pods, &Pod{pod, file})
	case "v1 ConfigMap":
		c := new(corev1.ConfigMap)
		if err := decode(doc, c); err != nil {
			return fmt.Errorf("%s %q: %w", head.Kind, c.Name, err)
		}
		return o.addConfigMap(c)
	case "v1 Secret":
		s := new(corev1.Secret)
		if err := decode(doc, s); err != nil {
			return fmt.Errorf("%s %q: %w", head.Kind, s.Name, err)
		}
		return o.addSecret(s)
	case "v1 List":
		if !lists {
			return errors.New("kind List: must not be in another")
		}
		return o.addList(file, doc)
	default:
		return unknownKind(head)
	}
	return nil
}

// addList reads the documents of a List, as kubectl get -o yaml writes it.
func (o *Objects) addList(file string, doc []byte) error {
	var list struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        any   `json:"metadata,omitempty"`
		Items           []any `json:"items"`
	}
	if err := decode(doc, &list); err != nil {
		return fmt.Errorf("List: %w", err)
	}
	var errs []error
	for i, item := range list.Items {
		text, err := yaml.Marshal(item)
		if err == nil {
			err = o.add(file, text, false)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("items[%d]: %w", i, err))
		}
	}
	return errors.Join(errs...)
}

// unknownKind says what to do with an object that is not read.
func unknownKind(head metav1.TypeMeta) error {
	version := strings.Trim(quote(head.APIVersion), `"`) // nothing that a terminal would take for its own
	switch head.Kind {
	case "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Job", "CronJob":
		return fmt.Errorf("kind %s (%s): only Pod, ConfigMap and Secret are read; write a Pod with the metadata and spec of its template", head.Kind, version)
	case "Service":
		return fmt.Errorf("kind Service (%s): only Pod, ConfigMap and Secret are read; a port is published by hostPort, and pods of a network find each other by name", version)
	case "PersistentVolumeClaim", "PersistentVolume":
		return fmt.Errorf("kind %s (%s): only Pod, ConfigMap and Secret are read; use a hostPath volume", head.Kind, version)
	}
	return fmt.Errorf("kind %s (%s): only Pod, ConfigMap and Secret of v1 are read", quote(head.Kind), version)
}

// decode reads an object as strictly as an API server does that is asked to
// (fieldValidation=Strict): by the case of letters, too.
func decode(doc []byte, into any) error {
	text, err := yaml.YAMLToJSONStrict(doc)
	if err != nil {
		return err
	}
	strict, err := json.UnmarshalStrict(text, into)
	return errors.Join(append(strict, err)...)
}

// empty reports whether a document has nothing but comments.
func empty(doc []byte) bool {
	for line := range strings.Lines(string(doc)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "%") {
			return false
		}
	}
	return true
}

func (o *Objects) addConfigMap(c *corev1.ConfigMap) error {
	if c.Name == "" {
		return errors.New("ConfigMap: metadata.name: required")
	}
	if o.configMap(c.Namespace, c.Name) != nil {
		return fmt.Errorf("ConfigMap %q: there is an earlier one of that name", c.Name)
	}
	if err := checkKeys(c.Data); err != nil {
		return fmt.Errorf("ConfigMap %q: data%w", c.Name, err)
	}
	if err := checkKeys(c.BinaryData); err != nil {
		return fmt.Errorf("ConfigMap %q: binaryData%w", c.Name, err)
	}
	for k := range c.BinaryData {
		if _, ok := c.Data[k]; ok {
			return fmt.Errorf("ConfigMap %q: key %q is in data and in binaryData", c.Name, k)
		}
	}
	o.ConfigMaps = append(o.ConfigMaps, c)
	return nil
}

// checkKeys verifies that each key can be the name of a file.
func checkKeys[T any](data map[string]T) error {
	for _, k := range slices.Sorted(maps.Keys(data)) {
		if errs := validation.IsConfigMapKey(k); len(errs) > 0 {
			return fmt.Errorf("[%s]: %s", quote(k), errs[0])
		}
	}
	return nil
}

func (o *Objects) addSecret(s *corev1.Secret) error {
	if s.Name == "" {
		return errors.New("Secret: metadata.name: required")
	}
	if o.secret(s.Namespace, s.Name) != nil {
		return fmt.Errorf("Secret %q: there is an earlier one of that name", s.Name)
	}
	// As the API server does.
	for k, v := range s.StringData {
		if s.Data == nil {
			s.Data = make(map[string][]byte, len(s.StringData))
		}
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	if err := checkKeys(s.Data); err != nil {
		return fmt.Errorf("Secret %q: data%w", s.Name, err)
	}
	o.Secrets = append(o.Secrets, s)
	return nil
}

// configMap finds one; nil if there is none.
func (o *Objects) configMap(namespace, name string) *corev1.ConfigMap {
	for _, c := range o.ConfigMaps {
		if c.Name == name && sameNamespace(c.Namespace, namespace) {
			return c
		}
	}
	return nil
}

// secret finds one; nil if there is none.
func (o *Objects) secret(namespace, name string) *corev1.Secret {
	for _, s := range o.Secrets {
		if s.Name == name && sameNamespace(s.Namespace, namespace) {
			return s
		}
	}
	return nil
}

func sameNamespace(a, b string) bool {
	return orDefault(a, defaultNamespace) == orDefault(b, defaultNamespace)
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
