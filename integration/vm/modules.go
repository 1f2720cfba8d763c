package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// bootModules are those that PID 1 needs before it can see the host's files,
// modprobe among them, and nf_tables, which every leak check asks for: modprobe
// would take a second. A kernel may have some built in. nf_tables wants the
// checksum of crc32c_generic, which only modules.softdep says.
var bootModules = []string{"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay", "crc32c_generic", "nf_tables"}

// moduleOrder returns the paths below modules.dep's directory of the named
// modules and all they depend on, in the order in which to load them.
func moduleOrder(dep string, builtin string, names []string) ([]string, error) {
	type module struct {
		path string
		deps []string
	}
	byName := map[string]module{}
	for line := range strings.Lines(dep) {
		path, deps, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			return nil, fmt.Errorf("modules.dep line %q: no colon", line)
		}
		byName[moduleName(path)] = module{path, strings.Fields(deps)}
	}
	inKernel := map[string]bool{}
	for line := range strings.Lines(builtin) {
		inKernel[moduleName(strings.TrimSpace(line))] = true
	}
	var order []string
	for _, name := range names {
		m, ok := byName[name]
		if !ok {
			if inKernel[name] {
				continue
			}
			return nil, fmt.Errorf("module %q: neither in modules.dep nor in modules.builtin", name)
		}
		// depmod lists all that a module needs, what to load first last.
		for _, path := range slices.Backward(append([]string{m.path}, m.deps...)) {
			if !slices.Contains(order, path) {
				order = append(order, path)
			}
		}
	}
	return order, nil
}

// moduleName returns the name of the module at path: kernel/fs/9p/9p.ko.xz is
// 9p. The kernel takes dashes for underscores.
func moduleName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// readModule returns the plain module at path, which may end in .xz or .zst.
func readModule(ctx context.Context, path, scratch string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil || strings.HasSuffix(path, ".ko") {
		return b, err
	}
	program, err := decompressor(b)
	if err != nil {
		return nil, fmt.Errorf("module %q: %w", path, err)
	}
	if err := decompress(ctx, program, b, scratch); err != nil {
		return nil, fmt.Errorf("module %q: %w", path, err)
	}
	plain, err := os.ReadFile(scratch)
	return plain, errors.Join(err, os.Remove(scratch))
}
