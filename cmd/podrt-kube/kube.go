package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cmd/podrt-kube/manifest"
	"github.com/podrt/podrt/rootfs/image"
)

// kubeCommand is the group of the verbs that act on Kubernetes' manifests.
func kubeCommand() *command {
	return &command{
		name:  "kube",
		usage: "run pods of Kubernetes' manifests",
		sub: []*command{
			kubeBundleCommand(),
			kubeDownCommand(),
			kubePlayCommand(),
		},
	}
}

const manifestArg = `Where "<manifest>" is a file, or "-" for standard input, with documents of v1: Pods,
and the ConfigMaps and Secrets that they name.`

// manifests are the files of a command, and how their images are got.
type manifests struct {
	configMaps stringsValue
	pull       image.PullOptions
	verify     bool
}

func (m *manifests) register(f *flag.FlagSet) {
	f.Var(&m.configMaps, "configmap", "`FILE` with further ConfigMaps and Secrets; can be repeated")
	f.BoolVar(&m.verify, "tls-verify", true, "check the registry's certificate; --tls-verify=false takes any, and plain HTTP (default true)")
	f.StringVar(&m.pull.AuthFile, "authfile", "", "`FILE` with the credentials for registries")
}

// read reads the manifest, and what else there is for it.
func (m *manifests) read(e *env, file string) (*manifest.Objects, error) {
	o := new(manifest.Objects)
	var errs []error
	for _, name := range append([]string{file}, m.configMaps...) {
		text, err := e.readManifest(name)
		if err == nil {
			err = o.Read(name, text)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(o.Pods) == 0 {
		return nil, fmt.Errorf("%s: no Pod", file)
	}
	seen := map[string]bool{}
	for _, p := range o.Pods {
		if seen[p.Name] {
			errs = append(errs, fmt.Errorf("%s: Pod %q: there is an earlier one of that name", p.File, p.Name))
		}
		seen[p.Name] = true
	}
	return o, errors.Join(errs...)
}

func (e *env) readManifest(name string) ([]byte, error) {
	r := e.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	return io.ReadAll(io.LimitReader(r, manifest.MaxManifest+1)) // whose errors have the name
}

// compile makes the bundles of the Pods, in their order. Nothing is pulled unless
// all manifests are right.
func (m *manifests) compile(ctx context.Context, e *env, o *manifest.Objects) ([]*manifest.Bundle, error) {
	host, err := thisHost()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, p := range o.Pods {
		errs = append(errs, manifest.Check(p, o, host))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m.pull.SkipTLSVerify = !m.verify
	images, err := newImages(ctx, e, m.pull)
	if err != nil {
		return nil, err
	}
	bundles := make([]*manifest.Bundle, len(o.Pods))
	for i, p := range o.Pods {
		bundles[i], err = manifest.Compile(p, o, host, images)
		errs = append(errs, err)
	}
	return bundles, errors.Join(errs...)
}

func kubeBundleCommand() *command {
	var m manifests
	return &command{
		name:  "bundle",
		usage: "make a pod bundle of a manifest",
		args: `<manifest> <directory>

` + manifestArg + `
The directory, which must not exist or be empty, becomes a bundle for "podrt pod
run". What Secrets hold is in it.`,
		flags: m.register,
		min:   2, max: 2,
		run: func(ctx context.Context, e *env, args []string) error {
			o, err := m.read(e, args[0])
			if err != nil {
				return err
			}
			if n := len(o.Pods); n > 1 {
				return fmt.Errorf("%s: %d Pods: a bundle is of one", args[0], n)
			}
			bundles, err := m.compile(ctx, e, o)
			if err != nil {
				return err
			}
			return writeBundle(bundles[0], args[1])
		},
	}
}

// writeBundle makes a directory of a bundle, or nothing.
func writeBundle(b *manifest.Bundle, dir string) (retErr error) {
	made := os.Mkdir(dir, 0o755)
	if made != nil && !errors.Is(made, os.ErrExist) {
		return made
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("directory %q: is not empty", dir)
	}
	if err := ownDirectory(dir); err != nil {
		return err
	}
	defer func() {
		if retErr == nil {
			return
		}
		for _, name := range manifest.Parts {
			retErr = errors.Join(retErr, os.RemoveAll(dir+"/"+name))
		}
		if made == nil {
			retErr = errors.Join(retErr, os.Remove(dir))
		}
	}()
	return b.Write(dir)
}

// ownDirectory refuses a directory in which another user could put links in the way of
// what is written into it.
func ownDirectory(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o002 != 0 {
		return fmt.Errorf("directory %q: belongs to user %d, mode %#o: must not be another's, nor for all to write to", dir, st.Uid, st.Mode&0o7777)
	}
	return nil
}

// newUID returns a random UUID (RFC 9562, version 4).
func newUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
