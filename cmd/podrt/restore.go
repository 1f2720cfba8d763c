package main

import (
	"path/filepath"

	"github.com/podrt/podrt/sandbox"
)

func restoreCommand() *command {
	var (
		criu   = criuOptions{CheckpointOptions: sandbox.CheckpointOptions{StatusFd: -1}}
		o      initOptions
		detach bool
	)
	return &command{
		name:  "restore",
		usage: "restore a container from a previous checkpoint",
		args: `<container-id>

Where "<container-id>" is the name for the instance of the container to be
restored.`,
		about: "Restores the saved state of the container instance that was previously saved\nusing the podrt checkpoint command.",
		min:   1, max: 1,
		flags: func(f *flags) {
			f.String(&o.io.consoleSocket, "console-socket", "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal")
			criu.flags(f, "path to criu image files for restoring")
			f.String(&o.bundle, "bundle, b", "path to the root of the bundle directory")
			f.String(&o.pod, "pod", "name or UID of the pod that the container is to be in")
			f.Bool(&detach, "detach, d", "detach from the container's process")
			f.String(&o.io.pidFile, "pid-file", "specify the file to write the process id to")
			f.Bool(&o.noSubreaper, "no-subreaper", "disable the use of the subreaper used to reap reparented processes")
			f.Bool(&o.noPivot, "no-pivot", "do not use pivot root to jail process inside rootfs.  This should be used whenever the rootfs is on top of a ramdisk")
			f.String(&criu.LsmProfile, "lsm-profile", "Specify an LSM profile to be used during restore in the form of TYPE:NAME.")
			f.String(&criu.LsmMountContext, "lsm-mount-context", "Specify an LSM mount context to be used during restore.")
		},
		starts: asItIs,
		run: func(e *env, args []string) error {
			warnRootless(e)
			// Where runc, which has changed to the bundle, looks for images.
			bundle, err := filepath.Abs(o.bundle)
			if err != nil {
				return err
			}
			opts, err := criu.options(bundle)
			if err != nil {
				return err
			}
			restore := func(c *sandbox.Container, p *sandbox.Process) error { return e.store.Restore(c, p, opts) }
			status, err := o.start(e, args[0], restore, detach)
			if err != nil {
				return err
			}
			return exitStatus(status)
		},
	}
}
