package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cmd/podrt-kube/manifest"
	"github.com/podrt/podrt/rootfs/image"
)

// images gets the images of manifests from the store, and pulls what it has not.
type images struct {
	ctx   context.Context
	store *image.Store
	pull  image.PullOptions
	known map[string]image.Image // by reference, of this run
}

func newImages(ctx context.Context, e *env, pull image.PullOptions) (*images, error) {
	s, err := e.images()
	if err != nil {
		return nil, err
	}
	return &images{ctx: ctx, store: s, pull: pull, known: map[string]image.Image{}}, nil
}

// Image is the image of a reference, pulled as the policy says, with the Pod's own
// credentials if it has some.
func (i *images) Image(ref, policy string, credentials []byte) (manifest.Image, error) {
	img, ok := i.known[ref]
	if !ok {
		var err error
		if img, err = i.get(ref, policy, credentials); err != nil {
			return manifest.Image{}, err
		}
		i.known[ref] = img
	}
	c := img.Config.Config
	return manifest.Image{
		Digest: img.Digest.String(),
		Config: manifest.ImageConfig{
			User: c.User, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, WorkingDir: c.WorkingDir, StopSignal: c.StopSignal,
		},
		Lookup: func(user string) (u manifest.User, err error) {
			u.UID, u.GID, u.Additional, _, err = i.store.Lookup(img, user)
			return u, err
		},
	}, nil
}

func (i *images) get(ref, policy string, credentials []byte) (image.Image, error) {
	if policy != "Always" {
		img, err := i.store.Resolve(ref)
		if policy == "Never" || !errors.Is(err, image.ErrNotExist) {
			return img, err
		}
	}
	options := i.pull
	if credentials != nil {
		f, err := memoryFile(credentials)
		if err != nil {
			return image.Image{}, err
		}
		defer f.Close()
		options.AuthFile = fdPath(f)
	}
	img, err := i.store.Pull(i.ctx, ref, options)
	if err != nil && policy == "Always" {
		if _, has := i.store.Resolve(ref); has == nil {
			return img, fmt.Errorf("%w; the store has an image of that name, which imagePullPolicy IfNotPresent is content with", err)
		}
	}
	return img, err
}

// fdPath is a path of an open file, for this process.
func fdPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// memoryFile is a file that has no name (memfd_create(2)), so that nothing is left of
// it.
func memoryFile(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("podrt-credentials", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "credentials")
	if _, err := f.Write(data); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
