package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/sandbox"
)

// aboutBundle is what create and run say of bundles.
const aboutBundle = `The bundle is a directory with a specification file named "config.json" and a
root filesystem.

The specification file includes an args parameter. The args parameter is used
to specify command(s) that get run when the container is started. To change the
command(s) that get executed on start, edit the args parameter of the spec. See
"spec --help" for more explanation.`

const argsContainerID = `<container-id>

Where "<container-id>" is your name for the instance of the container that you
are starting. The name you provide for the container instance must be unique on
your host.`

func createCommand() *command {
	var o initOptions
	return &command{
		name:  "create",
		usage: "create a container",
		args:  argsContainerID,
		about: "The create command creates an instance of a container for a bundle.\n" + aboutBundle,
		min:   1, max: 1,
		flags:  o.flags,
		starts: createFailed,
		run: func(e *env, args []string) error {
			status, err := o.start(e, args[0], (*sandbox.Container).StartInit, true)
			if err != nil {
				return createFailed(e, err)
			}
			return exitStatus(status)
		},
	}
}

// initOptions are the flags that create and run share.
type initOptions struct {
	bundle       string
	specFile     string
	pod          string
	noPivot      bool
	noNewKeyring bool
	runs         bool // the command is run, too: it may say that it is ready
	keep         bool // run only
	noSubreaper  bool // run only
	io           ioOptions
}

func (o *initOptions) flags(f *flags) {
	f.String(&o.bundle, "bundle, b", "path to the root of the bundle directory, defaults to the current directory")
	f.String(&o.specFile, "config", "path to the specification file, defaults to the bundle's \"config.json\"")
	f.String(&o.pod, "pod", "name or UID of the pod that the container is to be in")
	o.io.flags(f, "init process")
	f.Bool(&o.noPivot, "no-pivot", "do not use pivot root to jail process inside rootfs.  This should be used whenever the rootfs is on top of a ramdisk")
	f.Bool(&o.noNewKeyring, "no-new-keyring", "do not create a new session keyring for the container.  This will cause the container to inherit the calling processes session key")
}

// start makes a container from the bundle and starts its init with start.
// Unless detach is set it stays until the init ends and returns its status.
func (o *initOptions) start(e *env, id string, start startFunc, detach bool) (_ int, retErr error) {
	if err := sandbox.CheckBundle(o.bundle); err != nil {
		return -1, err
	}
	bundle, err := filepath.Abs(o.bundle)
	if err != nil {
		return -1, err
	}
	// As crun has it: that name alone is the bundle's.
	if o.specFile == sandbox.SpecFile {
		o.specFile = ""
	}
	if o.specFile != "" {
		if o.specFile, err = filepath.Abs(o.specFile); err != nil {
			return -1, err
		}
	}
	spec, err := sandbox.LoadSpec(bundle, o.specFile)
	if err != nil {
		return -1, err
	}
	if err := o.io.enter(bundle); err != nil {
		return -1, err
	}
	if id == "" {
		return -1, errEmptyID
	}
	listen, err := listenFDs()
	if err != nil {
		return -1, err
	}
	r := &runner{
		env: e, start: start, io: o.io, process: spec.Process,
		detach: detach, subreaper: !o.noSubreaper, listenFDs: listen,
		notify: newNotifySocket(filepath.Join(e.root, id)),
	}
	if err := r.checkTerminal(); err != nil {
		return -1, err
	}
	if r.notify != nil {
		r.notify.addTo(spec)
	}
	sandbox.OneProcessor(spec)
	member, err := e.store.Join(context.Background(), o.pod, id, bundle, spec)
	if err != nil {
		return -1, err
	}
	if member != nil {
		r.started = func() error { return member.Close(r.container) }
		defer func() {
			if r.started != nil { // it was not
				retErr = errors.Join(retErr, member.Abort())
			}
		}()
	}
	r.container, err = o.create(e, id, bundle, spec, member)
	if err != nil {
		return -1, err
	}
	r.end = func() error {
		if o.keep {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), deletePatience)
		defer cancel()
		return e.store.Remove(ctx, r.container, false)
	}
	if r.notify != nil {
		if err := r.notify.prepare(o.runs); err != nil {
			return -1, errors.Join(err, deleteContainer(e, id, true))
		}
	}
	return r.run()
}

func (o *initOptions) create(e *env, id, bundle string, spec *specs.Spec, member *sandbox.Membership) (*sandbox.Container, error) {
	rootless, err := parseBoolOrAuto(e.opts.rootless)
	if err != nil {
		return nil, err
	}
	manager := e.store.Cgroups
	if member.InPodCgroup() {
		manager = sandbox.CgroupfsManager
	}
	return sandbox.CreateContainer(sandbox.ContainerConfig{
		Root: e.root, ID: id, Bundle: bundle, Spec: spec, SpecFile: o.specFile,
		Cgroups: manager, Rootless: rootless,
		NoPivot: o.noPivot, NoNewKeyring: o.noNewKeyring,
	})
}

func createFailed(e *env, err error) error { return fmt.Errorf("%s create failed: %w", e.prog, err) }
