package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
	selinux "github.com/opencontainers/selinux/go-selinux"
	"golang.org/x/sys/unix"
)

// SpecFile is the name of a container's configuration in its bundle.
const SpecFile = "config.json"

// CheckBundle tells whether one could change to that directory; empty stands
// for the working directory. Its errors are those of the chdir(2) that callers
// expect to fail.
func CheckBundle(bundle string) error {
	if bundle == "" {
		return nil
	}
	info, err := os.Stat(bundle)
	switch {
	case err != nil:
		return &os.PathError{Op: "chdir", Path: bundle, Err: errors.Unwrap(err)}
	case !info.IsDir():
		return &os.PathError{Op: "chdir", Path: bundle, Err: unix.ENOTDIR}
	}
	return nil
}

// LoadSpec reads and checks the configuration of the bundle, or the file that
// stands in for it, if any; a relative path begins in the bundle. What the runtime
// itself does not need is not checked, ociVersion among it, and unknown fields
// are ignored: callers count on what runc takes.
func LoadSpec(bundle, file string) (*specs.Spec, error) {
	var spec *specs.Spec
	if err := readSpec(bundle, file, &spec); err != nil {
		return nil, err
	}
	if spec == nil {
		return nil, errNullSpec
	}
	return spec, ValidateProcess(spec.Process)
}

// loadSpecProcess is LoadSpec for who wants the process alone: most of the
// time goes into all the rest.
func loadSpecProcess(bundle, file string) (*specs.Process, error) {
	var spec *struct {
		Process *specs.Process `json:"process"`
	}
	if err := readSpec(bundle, file, &spec); err != nil {
		return nil, err
	}
	if spec == nil {
		return nil, errNullSpec
	}
	return spec.Process, ValidateProcess(spec.Process)
}

var errNullSpec = errors.New("config cannot be null")

func readSpec(bundle, file string, spec any) error {
	if err := CheckBundle(bundle); err != nil {
		return err
	}
	file = orDefault(file, SpecFile)
	path := file
	if !filepath.IsAbs(file) {
		path = filepath.Join(bundle, file)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("JSON specification file %s not found", file)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := json.NewDecoder(f).Decode(spec); err != nil {
		return &jsonError{path, err}
	}
	return nil
}

// LoadProcess reads and checks a process configuration, as exec takes it.
func LoadProcess(path string) (*specs.Process, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var p specs.Process
	if err := json.NewDecoder(f).Decode(&p); err != nil {
		return nil, &jsonError{path, err}
	}
	return &p, ValidateProcess(&p)
}

// LoadResources reads limits, as update takes them.
func LoadResources(in io.Reader, r *specs.LinuxResources) error {
	if err := json.NewDecoder(in).Decode(r); err != nil {
		return &jsonError{err: err}
	}
	return nil
}

// ValidateProcess checks what cannot be left to the container's init to find.
func ValidateProcess(p *specs.Process) error {
	switch {
	case p == nil:
		return errors.New("process property must not be empty")
	case p.Cwd == "":
		return errors.New("Cwd property must not be empty")
	case !filepath.IsAbs(p.Cwd):
		return errors.New("Cwd must be an absolute path")
	case len(p.Args) == 0:
		return errors.New("args must not be empty")
	case p.SelinuxLabel != "" && !selinux.GetEnabled():
		return errors.New("selinux label is specified in config, but selinux is disabled or not supported")
	}
	return nil
}

// ExampleSpec is a configuration to begin with: a shell in "rootfs".
func ExampleSpec(rootless bool) *specs.Spec {
	spec := specconv.Example()
	if rootless {
		specconv.ToRootless(spec)
	}
	return spec
}
