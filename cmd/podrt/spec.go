package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/podrt/podrt/sandbox"
)

func specCommand() *command {
	var (
		bundle   string
		rootless bool
	)
	return &command{
		name:  "spec",
		usage: "create a new specification file",
		about: `The spec command creates the new specification file named "config.json" for
the bundle.

The spec generated is just a starter file. Editing of the spec is required to
achieve desired results. For example, the newly generated spec includes an args
parameter that is initially set to call the "sh" command when the container is
started, in the directory "rootfs" of the bundle.

With --rootless the specification is one for a container that an ordinary user
starts: in a user namespace, with that user as its root.

EXAMPLE:
The following makes a bundle of a root filesystem in a tar archive, and runs the
shell in it:

       # mkdir -p bundle/rootfs
       # tar -C bundle/rootfs -xf root.tar
       # podrt spec --bundle bundle
       # podrt run --bundle bundle container1`,
		flags: func(f *flags) {
			f.String(&bundle, "bundle, b", "path to the root of the bundle directory")
			f.Bool(&rootless, "rootless", "generate a configuration for a rootless container")
		},
		run: func(_ *env, _ []string) error {
			return writeSpec(bundle, rootless)
		},
	}
}

func writeSpec(bundle string, rootless bool) error {
	if err := sandbox.CheckBundle(bundle); err != nil {
		return err
	}
	data, err := json.MarshalIndent(sandbox.ExampleSpec(rootless), "", "\t")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(bundle, sandbox.SpecFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("File %s exists. Remove it first", sandbox.SpecFile)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
