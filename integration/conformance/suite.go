package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const runcModule = "github.com/opencontainers/runc"

// helpers are the programs of the suite, in its directory tests/cmd.
var helpers = []string{"fs-idmap", "key_label", "pidfd-kill", "recvtty", "remap-rootfs", "sd-helper", "seccompagent"}

// suite is a copy of runc's suite, ready to run.
type suite struct {
	version string // of the module, as go.mod has it
	dir     string // of the copy
}

// runcVersion returns the version of runc's module that podrt is built with, and
// where its files are.
func runcVersion(root string) (version, dir string, err error) {
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", runcModule)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", "", fmt.Errorf("find module %q: %w", runcModule, err)
	}
	version, dir, _ = strings.Cut(strings.TrimSpace(string(out)), " ")
	if dir == "" {
		return "", "", fmt.Errorf("module %q is not downloaded: go mod download", runcModule)
	}
	return version, dir, nil
}

// prepare copies the suite to dir, as the module cache is read-only and drops the
// modes that make scripts executable, builds its helper programs and makes its
// images.
func prepare(root, dir string) (*suite, error) {
	version, module, err := runcVersion(root)
	if err != nil {
		return nil, err
	}
	s := &suite{version, dir}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := copyTree(filepath.Join(dir, "tests"), filepath.Join(module, "tests")); err != nil {
		return nil, err
	}
	args := []string{"build", "-tags", "seccomp", "-o", filepath.Join(dir, "tests/cmd/_bin") + "/"}
	for _, h := range helpers {
		args = append(args, "./tests/cmd/"+h)
	}
	build := exec.Command("go", args...)
	build.Dir = module // with what runc's own go.mod requires
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the suite's helpers: %w\n%s", err, out)
	}
	for _, h := range daemons {
		if err := detach(filepath.Join(dir, "tests/cmd/_bin", h)); err != nil {
			return nil, err
		}
	}
	return s, s.images()
}

// daemons are the helpers that a test starts in the background and ends later,
// unless it fails between.
var daemons = []string{"pidfd-kill", "recvtty", "seccompagent"}

// detach puts a script before a helper that closes what it would inherit of
// bats: it reads pipes to their end, and would wait for a helper that a failed
// test has left.
func detach(path string) error {
	if err := os.Rename(path, path+".program"); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(`#!/bin/sh
exec "$0.program" "$@" 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
`), 0o755)
}

// images makes the images, and has the suite find them. Its own script would
// download them, and asks "go env" for every test.
func (s *suite) images() error {
	var script strings.Builder
	for name, write := range map[string]func(string) error{"busybox": busyboxImage, "debian": debianImage} {
		path := s.path("testdata/" + name + ".tar")
		if err := write(path); err != nil {
			return fmt.Errorf("make image %q: %w", name, err)
		}
		fmt.Fprintf(&script, "echo %s_IMAGE='%s'\n", strings.ToUpper(name), path)
	}
	return os.WriteFile(s.path("get-images.sh"), []byte("#!/bin/sh\n"+script.String()), 0o755)
}

// files returns the names of the suite's files, without ".bats".
func (s *suite) files() ([]string, error) {
	paths, err := filepath.Glob(s.path("*.bats"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, errors.New("the module holds no suite")
	}
	for i, p := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(p), ".bats")
	}
	return paths, nil
}

// path returns where a file of the suite is.
func (s *suite) path(name string) string {
	return filepath.Join(s.dir, "tests/integration", name)
}

// copyTree copies the files below from, but for Go's, to the new directory to.
// Scripts become executable.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if filepath.Ext(path) == ".go" {
			return nil // built where they are
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(string(b), "#!") {
			mode = 0o755
		}
		return os.WriteFile(target, b, mode)
	})
}
