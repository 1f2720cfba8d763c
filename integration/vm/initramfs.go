package vm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/podrt/podrt/integration/vm/job"
)

// makeBootModules writes the part of the initramfs that is the same for every
// run: the modules, plain, and the list of them.
func (p *Parts) makeBootModules(ctx context.Context) error {
	dep, err := os.ReadFile(filepath.Join(p.modules(), "modules.dep"))
	if err != nil {
		return err
	}
	builtin, err := os.ReadFile(filepath.Join(p.modules(), "modules.builtin"))
	if err != nil {
		return err
	}
	order, err := moduleOrder(string(dep), string(builtin), bootModules)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	archive := cpio{w: &b}
	archive.dir("modules")
	var list strings.Builder
	for _, path := range order {
		plain, err := readModule(ctx, filepath.Join(p.modules(), path), filepath.Join(p.dir, "module"))
		if err != nil {
			return err
		}
		name := "modules/" + moduleName(path) + ".ko"
		archive.file(name, 0o644, plain)
		fmt.Fprintf(&list, "/%s\n", name)
	}
	archive.file(strings.TrimPrefix(job.ModuleList, "/"), 0o644, []byte(list.String()))
	if err := archive.close(); err != nil {
		return err
	}
	return os.WriteFile(p.bootModules(), b.Bytes(), 0o644)
}

// writeInitramfs writes to path the initramfs with the given PID 1. The kernel
// takes archives one after the other.
func (p *Parts) writeInitramfs(path string, guest []byte) error {
	modules, err := os.ReadFile(p.bootModules())
	if err != nil {
		return err
	}
	var b bytes.Buffer
	archive := cpio{w: &b}
	for _, dir := range []string{"dev", "proc", "sys", "host", "root"} {
		archive.dir(dir)
	}
	archive.file("init", 0o755, guest)
	if err := archive.close(); err != nil {
		return err
	}
	return os.WriteFile(path, append(b.Bytes(), modules...), 0o644)
}

// guestPackage is PID 1's source.
const guestPackage = "github.com/podrt/podrt/integration/guest"

// buildGuest compiles PID 1, which Go's build cache makes quick, and returns
// the program. The working directory must be in podrt's module, as that of go
// test and of what it runs is.
func buildGuest(ctx context.Context) ([]byte, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "guest")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockFile(dir + ".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	path := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, guestPackage)
	// What go test sets for itself must not change the program.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build %s: %w: %s", guestPackage, err, lastLines(string(out), 10))
	}
	return os.ReadFile(path)
}
