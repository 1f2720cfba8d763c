package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
	"github.com/podrt/podrt/rootfs"
)

// imagesDir is the image store, which package rootfs/image keeps and describes.
func (s *Store) imagesDir() string { return filepath.Join(s.libRoot(), "images") }

// kubeProgram is what keeps the store.
var kubeProgram = netsetup.Program{Name: "podrt-kube", Env: "PODRT_KUBE", Purpose: "images and manifests of Kubernetes"}

// KubeProgram returns the path of podrt-kube.
func KubeProgram() (string, error) { return kubeProgram.Find() }

// usesImages reports whether a container of the pod is of an image.
func (s *PodSpec) usesImages() bool {
	image := func(c PodContainer) bool { return c.Image != "" }
	return slices.ContainsFunc(s.InitContainers, image) || slices.ContainsFunc(s.Containers, image)
}

const imageForm = "sha256: and 64 hexadecimal digits, in lower case"

func (c *PodContainer) validateImage(ps *problems, at string) {
	if c.Image == "" {
		return
	}
	hex, ok := strings.CutPrefix(c.Image, "sha256:")
	switch {
	case !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "":
		ps.addf(at+".image", "%s: must be the digest of an image: %s", quoteShort(c.Image), imageForm)
	case c.Overlay:
		ps.addf(at+".overlay", "true: must not be set: with an image there is one anyway")
	}
}

// validateImageRoot refuses a root that looks as if something were in the bundle.
func validateImageRoot(ps *problems, root *specs.Root) {
	if root != nil && root.Path != "" && root.Path != "rootfs" && filepath.IsLocal(root.Path) {
		ps.addf("root.path", `%s: must be "rootfs": the container's root is its image (pod.json: image)`, quoteShort(root.Path))
	}
}

// holdImages verifies that the pod's images are in the store, and keeps them there
// until the file is closed. All that is wrong is reported.
func (s *Store) holdImages(spec *PodSpec) (_ *os.File, retErr error) {
	lock, err := openFile(filepath.Join(s.imagesDir(), "lock"), unix.O_RDWR, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lock image store: %w", err)
	}
	if err == nil { // else there is no image, and the first error says so
		if err := flock(lock, unix.LOCK_SH); err != nil {
			lock.Close()
			return nil, fmt.Errorf("lock image store: %w", err)
		}
	}
	var errs []error
	for _, c := range spec.Own() {
		if c.Image == "" {
			continue
		}
		if _, err := rootfs.ImageLayers(s.imagesDir(), c.Image); err != nil {
			errs = append(errs, fmt.Errorf("container %q: %w", c.Name, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// imageRoot mounts the root of a container that is of an image. In a pod with a user
// namespace the files of the image are owned by the ids that they have in it.
func (p *Pod) imageRoot(image, dir string) (string, error) {
	layers, err := rootfs.ImageLayers(p.store.imagesDir(), image)
	if err != nil {
		return "", err
	}
	var users *os.File
	if p.rec.Spec.UserNamespace != nil {
		pin, ok := p.pin(nsenter.User)
		if !ok {
			return "", fmt.Errorf("image %q: the pod has no user namespace", image)
		}
		if users, err = openFile(pin.Path, unix.O_RDONLY, 0); err != nil {
			return "", err
		}
		defer users.Close()
	}
	root, err := rootfs.OverlayLayers(layers, users, dir)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", image, err)
	}
	return root, nil
}

// ImageUsers returns which pods use which images of the library root: names of pods
// by digest, of whatever run root they are. With the image store locked exclusively,
// no pod comes to use an image meanwhile.
func (s *Store) ImageUsers() (map[string][]string, error) {
	entries, err := os.ReadDir(s.podLibDirs())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for users of images: %w", err)
	}
	users := map[string][]string{}
	for _, e := range entries {
		o, err := readOwner(s.podLibDir(e.Name()))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || err == nil && o.RunRoot == "" {
			continue // of a creation or a removal that was killed
		}
		if err != nil {
			return nil, fmt.Errorf("look for users of images: %w", err)
		}
		owner := Store{RunRoot: o.RunRoot}
		p, err := owner.load(e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // of an earlier boot, or removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("look for users of images: %w", err)
		}
		for _, c := range p.rec.Spec.Own() {
			if c.Image != "" && !slices.Contains(users[c.Image], p.Name()) {
				users[c.Image] = append(users[c.Image], p.Name())
			}
		}
	}
	return users, nil
}
