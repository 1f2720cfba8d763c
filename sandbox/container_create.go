package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	devices "github.com/opencontainers/cgroups/devices/config"
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/cgroups"
)

// ContainerConfig is all that CreateContainer needs.
type ContainerConfig struct {
	Root   string      // directory that directly holds the containers' state directories
	ID     string      // [A-Za-z0-9_+.-]+, unique below Root
	Bundle string      // absolute path; relative paths in Spec begin here
	Spec   *specs.Spec // as it shall run; not changed

	// SpecFile is where Spec was read, an absolute path; empty for the bundle's own
	// file. What is executed in the container later takes its defaults from there.
	SpecFile string

	Cgroups      CgroupManager // with SystemdManager the spec's cgroupsPath is "slice:prefix:name"
	NoPivot      bool          // MS_MOVE instead of pivot_root(2), for a root on a ramdisk
	NoNewKeyring bool          // keep the caller's session keyring
	Rootless     *bool         // ignore missing permissions on cgroups; nil: decide by user and user namespace
	CgroupPath   string        // instead of the spec's cgroupsPath, if not empty
}

// CreateContainer checks the configuration and makes the container's state
// directory, with what DeleteContainer needs should this process die. Nothing
// is started and no cgroup is made yet. Errors: ErrExist, ErrInvalidID, or what
// is wrong with the configuration.
func CreateContainer(cfg ContainerConfig) (*Container, error) {
	config, err := cfg.libcontainer()
	if err != nil {
		return nil, err
	}
	if _, err := cgroups.Root(); err != nil {
		return nil, err
	}
	// What is above libcontainer's own root may be shared with pods, whose
	// containers' root users must be able to walk through.
	if err := os.MkdirAll(filepath.Dir(cfg.Root), 0o711); err != nil {
		return nil, err
	}
	keep := keepsGroups(cfg.Spec.Annotations) && canKeepGroups(config.Mounts)
	lc, err := libcontainer.Create(cfg.Root, cfg.ID, config)
	if err != nil {
		// Two creations at once: the second one's mkdir of the state directory. The
		// root's own can fail so, too, where a link leads nowhere.
		var mkdir *fs.PathError
		if errors.As(err, &mkdir) && errors.Is(err, fs.ErrExist) && mkdir.Path == filepath.Join(cfg.Root, cfg.ID) {
			err = ErrExist
		}
		return nil, err
	}
	if keep {
		keepGroups(config)
	}
	c := &Container{root: cfg.Root, lc: lc}
	if cfg.Spec.Linux != nil && cfg.Cgroups != NoManager {
		c.limits = cfg.Spec.Linux.Resources
	}
	if err := c.recordIntent(cfg.SpecFile); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.dir()))
	}
	return c, nil
}

func (c *Container) dir() string { return filepath.Join(c.root, c.ID()) }

// libcontainer translates the configuration into libcontainer's.
func (cfg *ContainerConfig) libcontainer() (*configs.Config, error) {
	// What the kernel would say of it as working directory: callers compare
	// the bundle in the state with what getcwd(2) told them.
	bundle, err := filepath.EvalSymlinks(cfg.Bundle)
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(bundle) {
		return nil, fmt.Errorf("bundle %q: must be an absolute path", cfg.Bundle)
	}
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{
		CgroupName:       cfg.ID,
		UseSystemdCgroup: cfg.Cgroups == SystemdManager,
		NoPivotRoot:      cfg.NoPivot,
		NoNewKeyring:     cfg.NoNewKeyring,
		Spec:             absolute(cfg.Spec, bundle, cfg.CgroupPath),
		RootlessEUID:     os.Geteuid() != 0,
		RootlessCgroups:  cfg.rootlessCgroups(),
	})
	if err != nil {
		return nil, err
	}
	if cfg.Cgroups == NoManager {
		withoutCgroup(config)
	}
	// specconv takes the working directory for the bundle, which is one for
	// all containers of this process.
	config.Labels = slices.DeleteFunc(config.Labels, func(l string) bool {
		return strings.HasPrefix(l, "bundle=") || forges(l, cfg.Spec.Annotations)
	})
	config.Labels = append(config.Labels, "bundle="+bundle)
	// A FIFO has no device number: the kernel gives it 0:0, and libcontainer
	// compares. The specification has the two as optional for it.
	for _, d := range config.Devices {
		if d.Type == devices.FifoDevice {
			d.Major, d.Minor = 0, 0
		}
	}
	if err := keepMountedCgroup2Options(config); err != nil {
		return nil, err
	}
	return config, nil
}

// forges reports whether a label, KEY=VALUE of one of the annotations, would be
// read back as another one that there is, or as one of podrt's: its key has a "=".
// Annotations come from images too.
func forges(label string, annotations map[string]string) bool {
	key, value, _ := strings.Cut(label, "=")
	own, exists := annotations[key]
	return exists && own != value || !exists && strings.HasPrefix(key, annotationPrefix)
}

// absolute returns a copy of the spec whose paths do not depend on the working
// directory, with another cgroup path if one is given.
func absolute(spec *specs.Spec, bundle, cgroup string) *specs.Spec {
	s := *spec
	if s.Root != nil && !filepath.IsAbs(s.Root.Path) {
		root := *s.Root
		root.Path = filepath.Join(bundle, root.Path)
		s.Root = &root
	}
	s.Mounts = slices.Clone(s.Mounts)
	for i, m := range s.Mounts {
		if isBind(m) && !filepath.IsAbs(m.Source) {
			s.Mounts[i].Source = filepath.Join(bundle, m.Source)
		}
	}
	if cgroup != "" {
		l := specs.Linux{}
		if s.Linux != nil {
			l = *s.Linux
		}
		l.CgroupsPath = cgroup
		s.Linux = &l
	}
	return &s
}

func isBind(m specs.Mount) bool {
	return slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}
