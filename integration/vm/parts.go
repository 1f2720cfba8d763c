package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Parts is a fetched set: QEMU and a kernel with its modules. Its directory
// holds
//
//	qemu/             the unpacked packages of QEMU and the libraries it wants
//	modules/RELEASE/  what belongs at /lib/modules, with depmod's files
//	vmlinux           the kernel, uncompressed
//	boot.cpio         the modules the initramfs needs, plain, and their order
//	parts.json        this struct; written last
type Parts struct {
	Set     string // name of the set
	QEMU    string // version of the package
	Release string // uname -r of the kernel
	dir     string
}

// partsFormat changes when what Fetch makes does. It is part of the directory's
// name, so that an older podrt beside this one keeps its own.
const partsFormat = "-6"

// Sets are the names that [Fetch] takes, the preferred one first.
var Sets = []string{"backports", "stable"}

// release is where apt takes a set from.
func release(set string) string {
	if set == "backports" {
		return suite + "-backports"
	}
	return suite
}

// Fetch returns the named set from the cache, and first fetches it if it is
// not there. The empty name stands for the best set at hand: the first of
// [Sets] that is in the cache, else the first that can be fetched.
//
// log gets a line for each slow step.
func Fetch(ctx context.Context, set string, log func(string)) (*Parts, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	sets := []string{set}
	if set == "" {
		sets = Sets
		for _, s := range sets {
			if p, err := loadParts(filepath.Join(cache, s+partsFormat)); err == nil {
				return p, nil
			}
		}
	} else if !slices.Contains(Sets, set) {
		return nil, fmt.Errorf("set of VM parts %q: want one of %q", set, Sets)
	}
	var errs []error
	for _, s := range sets {
		p, err := fetch(ctx, cache, s, log)
		if err == nil {
			return p, nil
		}
		errs = append(errs, fmt.Errorf("fetch VM parts %q: %w", s, err))
	}
	return nil, errors.Join(errs...)
}

// cacheDir returns the directory for the VM's parts, and makes it.
func cacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		base = "/var/cache"
	}
	dir := filepath.Join(base, "podrt", "vm")
	return dir, os.MkdirAll(dir, 0o755)
}

// loadParts reads the parts that a finished fetch left in dir.
func loadParts(dir string) (*Parts, error) {
	b, err := os.ReadFile(filepath.Join(dir, "parts.json"))
	if err != nil {
		return nil, err
	}
	p := &Parts{dir: dir}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "parts.json"), err)
	}
	return p, nil
}

// lockFile takes an exclusive lock on the file at path and returns what
// releases it. The kernel does when the process dies.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return func() { f.Close() }, nil
}

// fetch makes the set in the cache unless it is there. One process fetches,
// the others wait for it.
func fetch(ctx context.Context, cache, set string, log func(string)) (_ *Parts, retErr error) {
	dir := filepath.Join(cache, set+partsFormat)
	if p, err := loadParts(dir); err == nil {
		return p, nil
	}
	unlock, err := lockFile(dir + ".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if p, err := loadParts(dir); err == nil {
		return p, nil
	}

	// What a killed fetch left is useless: start afresh.
	making := dir + ".making"
	if err := errors.Join(os.RemoveAll(making), os.MkdirAll(making, 0o755)); err != nil {
		return nil, err
	}
	defer func() {
		if retErr != nil {
			retErr = errors.Join(retErr, os.RemoveAll(making))
		}
	}()
	p := &Parts{Set: set, dir: making}
	if err := p.make(ctx, log); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(making, "parts.json"), b, 0o644); err != nil {
		return nil, err
	}
	if err := errors.Join(os.RemoveAll(dir), os.Rename(making, dir)); err != nil {
		return nil, err
	}
	p.dir = dir
	return p, nil
}

// make fills p.dir.
func (p *Parts) make(ctx context.Context, log func(string)) error {
	for _, program := range []string{"apt-get", "dpkg", "xz", "zstd", "depmod"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: make deps installs it", err)
		}
	}
	aptDir := filepath.Join(p.dir, "apt")
	defer os.RemoveAll(aptDir)
	a, err := newApt(ctx, aptDir, release(p.Set))
	if err != nil {
		return err
	}
	log("apt-get update for " + a.release + ", in a directory of its own")
	if err := a.update(ctx); err != nil {
		return err
	}
	if err := p.makeQEMU(ctx, a, log); err != nil {
		return err
	}
	return p.makeKernel(ctx, a, log)
}

func (p *Parts) makeQEMU(ctx context.Context, a *apt, log func(string)) error {
	pkgs, err := a.closure(ctx, "qemu-system-x86", "seabios")
	if err != nil {
		return err
	}
	for _, pkg := range pkgs {
		if version, ok := strings.CutPrefix(pkg, "qemu-system-x86="); ok {
			p.QEMU = version
		}
	}
	if p.QEMU == "" {
		return fmt.Errorf("packages for QEMU %q: no qemu-system-x86", pkgs)
	}
	log(fmt.Sprintf("download and unpack QEMU %s (%d packages)", p.QEMU, len(pkgs)))
	return a.unpack(ctx, filepath.Join(p.dir, "qemu"), pkgs...)
}

func (p *Parts) makeKernel(ctx context.Context, a *apt, log func(string)) error {
	pkgs, err := a.closure(ctx, "linux-image-amd64")
	if err != nil {
		return err
	}
	const prefix = "linux-image-"
	// The package of the kernel itself, which the metapackage depends on.
	i := slices.IndexFunc(pkgs, func(pkg string) bool {
		rest, ok := strings.CutPrefix(pkg, prefix)
		return ok && rest[0] >= '0' && rest[0] <= '9'
	})
	if i < 0 {
		return fmt.Errorf("packages for linux-image-amd64 %q: no kernel", pkgs)
	}
	name, _, _ := strings.Cut(pkgs[i], "=")
	p.Release = strings.TrimPrefix(name, prefix)

	log("download and unpack Linux " + p.Release)
	root := filepath.Join(p.dir, "kernel")
	defer os.RemoveAll(root)
	if err := a.unpack(ctx, root, pkgs[i]); err != nil {
		return err
	}
	// depmod finds the modules below BASE/lib/modules.
	if out, err := exec.CommandContext(ctx, "depmod", "-b", root, p.Release).CombinedOutput(); err != nil {
		return fmt.Errorf("depmod %s: %w: %s", p.Release, err, lastLines(string(out), 5))
	}
	if err := os.Rename(filepath.Join(root, "lib/modules"), filepath.Join(p.dir, "modules")); err != nil {
		return err
	}
	if err := p.makeBootModules(ctx); err != nil {
		return err
	}
	return extractKernel(ctx, filepath.Join(root, "boot/vmlinuz-"+p.Release), p.vmlinux())
}

func (p *Parts) vmlinux() string     { return filepath.Join(p.dir, "vmlinux") }
func (p *Parts) modules() string     { return filepath.Join(p.dir, "modules", p.Release) }
func (p *Parts) bootModules() string { return filepath.Join(p.dir, "boot.cpio") }

// String says what the set is: "backports: QEMU 10.0…, Linux 6.12…".
func (p *Parts) String() string {
	return fmt.Sprintf("%s: QEMU %s, Linux %s, in %s", p.Set, p.QEMU, p.Release, p.dir)
}

// libraryPath is QEMU's LD_LIBRARY_PATH.
func (p *Parts) libraryPath() string {
	var dirs []string
	for _, d := range []string{"usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"} {
		dir := filepath.Join(p.dir, "qemu", d)
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, ":")
}
