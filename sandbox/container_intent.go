package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	lccgroups "github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/manager"

	"github.com/podrt/podrt/cgroups"
)

// intentFile is in a container's state directory from before its first kernel
// object is made. libcontainer writes its state.json only when the container's
// init is nearly set up: a SIGKILL before leaves a cgroup, perhaps with an init
// in it, that this file alone knows of.
const intentFile = "podrt.json"

type containerIntent struct {
	Version     int               `json:"version"`
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`
	SpecFile    string            `json:"specFile,omitempty"` // in the place of the bundle's; absolute
	Pod         string            `json:"pod,omitempty"`      // UID
	Cgroups     *lccgroups.Cgroup `json:"cgroups"`            // driver and its settings
	CgroupPaths map[string]string `json:"cgroupPaths"`        // as in libcontainer's state
}

const intentVersion = 1

func (c *Container) recordIntent(specFile string) error {
	state, err := c.lc.State()
	if err != nil {
		return err
	}
	return writeJSON(filepath.Join(c.dir(), intentFile), &containerIntent{
		Version: intentVersion, ID: c.ID(), Bundle: c.Bundle(), SpecFile: specFile, Pod: c.Annotations()[AnnotationPod],
		Cgroups: state.Config.Cgroups, CgroupPaths: state.CgroupPaths,
	})
}

// specFile returns what was recorded of ContainerConfig.SpecFile: alone, whatever
// the version, since a running container outlives the podrt that made it.
func (c *Container) specFile() (string, error) {
	var in struct {
		SpecFile string `json:"specFile"`
	}
	err := readJSON(filepath.Join(c.dir(), intentFile), &in)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return in.SpecFile, err
}

// readIntent reads the intent of a container that has no state; nil if its
// creation did not come that far, in which case it has no kernel object either.
func readIntent(dir string) (*containerIntent, error) {
	var in containerIntent
	err := readJSON(filepath.Join(dir, intentFile), &in)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if in.Version != intentVersion {
		return nil, fmt.Errorf("read %q: version %d; this podrt knows %d", filepath.Join(dir, intentFile), in.Version, intentVersion)
	}
	return &in, nil
}

// cgroup returns the path of the cgroup that was about to be made.
func (in *containerIntent) cgroup() cgroups.Path {
	if in.Cgroups != nil && in.Cgroups.Name == noCgroupName {
		return "" // none
	}
	return cgroups.Path(in.CgroupPaths[""])
}

// isAnothersCgroup reports whether a living container beside the one in dir, which
// does not live, has the cgroup too: it was made while nothing was in that, so that
// what is in it now is that one's.
func isAnothersCgroup(dir string, cgroup cgroups.Path) bool {
	entries, _ := os.ReadDir(filepath.Dir(dir))
	buf := make([]byte, stateFileMax)
	for _, e := range entries {
		b, err := readSmall(filepath.Join(filepath.Dir(dir), e.Name(), "state.json"), buf)
		if err != nil {
			continue
		}
		f, ok := parseStateFile(b)
		if !ok || f.cgroup != string(cgroup) {
			continue
		}
		if start, err := processStart(f.pid); err == nil && start == f.start {
			return true
		}
	}
	return false
}

// destroyCgroup removes the container's cgroup, and its unit with the systemd
// driver.
func (in *containerIntent) destroyCgroup() error {
	if in.Cgroups == nil {
		return nil
	}
	if in.Cgroups.Resources == nil {
		in.Cgroups.Resources = &lccgroups.Resources{}
	}
	m, err := manager.NewWithPaths(in.Cgroups, in.CgroupPaths)
	if err != nil {
		return err
	}
	if err := m.Destroy(); err != nil {
		return fmt.Errorf("unable to remove container's cgroup: %w", err)
	}
	return nil
}

// removeStateDir removes what is left of a container on disk.
func removeStateDir(dir string) error {
	if err := removeKnown(dir, "state.json", "exec.fifo", intentFile); err != nil {
		return fmt.Errorf("unable to remove container state dir: %w", err)
	}
	return nil
}
