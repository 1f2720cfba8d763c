package bundle

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Pod is pod.json: what is written is what is in the map, so that a test can
// say anything, in the words of the format.
type Pod map[string]any

// Container is one of a pod's containers: its member of pod.json's list, but
// for the name, and its OCI bundle.
type Container struct {
	Name   string
	Init   bool // in the list initContainers
	Member map[string]any
	Spec   *specs.Spec
}

// NewPod is the least that pod.json can say, and the members given.
func NewPod(name string, members Pod) Pod {
	p := Pod{"podVersion": "0.1.0", "metadata": map[string]any{"name": name}}
	for k, v := range members {
		p[k] = v
	}
	return p
}

// WritePod makes a pod bundle in dir: pod.json with the containers in its lists,
// and an OCI bundle for each of them.
func WritePod(dir string, p Pod, containers ...Container) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	whole := make(Pod, len(p)+2)
	for k, v := range p {
		whole[k] = v
	}
	lists := map[string][]map[string]any{"containers": {}}
	for _, c := range containers {
		member := map[string]any{"name": c.Name}
		for k, v := range c.Member {
			member[k] = v
		}
		list := "containers"
		if c.Init {
			list = "initContainers"
		}
		lists[list] = append(lists[list], member)
		if err := Write(filepath.Join(dir, "containers", c.Name), c.Spec); err != nil {
			return fmt.Errorf("container %q: %w", c.Name, err)
		}
	}
	for name, list := range lists {
		whole[name] = list
	}
	return writeJSON(filepath.Join(dir, "pod.json"), whole)
}
