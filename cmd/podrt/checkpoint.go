package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/podrt/podrt/sandbox"
)

func checkpointCommand() *command {
	o := criuOptions{CheckpointOptions: sandbox.CheckpointOptions{StatusFd: -1}}
	return &command{
		name:  "checkpoint",
		usage: "checkpoint a running container",
		args: `<container-id>

Where "<container-id>" is the name for the instance of the container to be
checkpointed.`,
		about: "The checkpoint command saves the state of the container instance.",
		min:   1, max: 1,
		flags: func(f *flags) {
			o.flags(f, "path for saving criu image files")
			f.String(&o.ParentImage, "parent-path", "path for previous criu image files in pre-dump")
			f.Bool(&o.LeaveRunning, "leave-running", "leave the process running after checkpointing")
			f.Bool(&o.TcpSkipInFlight, "tcp-skip-in-flight", "skip in-flight tcp connections")
			f.Bool(&o.LinkRemap, "link-remap", "allow one to link unlinked files back when possible")
			f.Int(&o.StatusFd, "status-fd", `criu writes \0 to this FD once lazy-pages is ready`)
			f.String(&o.pageServer, "page-server", "ADDRESS:PORT of the page server")
			f.Bool(&o.PreDump, "pre-dump", "dump container's memory information only, leave the container running after this")
		},
		run: func(e *env, args []string) error {
			warnRootless(e)
			c, err := e.container(args[0])
			if err != nil {
				return err
			}
			if err := c.CheckCheckpoint(); err != nil {
				return err
			}
			opts, err := o.options("")
			if err != nil {
				return err
			}
			if err := e.store.Checkpoint(c, opts); err != nil {
				return err
			}
			if opts.LeaveRunning || opts.PreDump {
				return nil
			}
			// The checkpoint is made; the caller can delete what this could not.
			// Not by force: a configuration file of CRIU's may have it leave the
			// processes running.
			if err := deleteContainer(e, c.ID(), false); err != nil {
				e.log.warn(err)
			}
			return nil
		},
	}
}

// criuOptions are CRIU's options as flags give them.
type criuOptions struct {
	sandbox.CheckpointOptions
	pageServer string
	emptyNs    []string
}

// flags are those that checkpoint and restore share.
func (o *criuOptions) flags(f *flags, imagePath string) {
	f.String(&o.ImagesDirectory, "image-path", imagePath)
	f.String(&o.WorkDirectory, "work-path", "path for saving work files and logs")
	f.Bool(&o.TcpEstablished, "tcp-established", "allow open tcp connections")
	f.Bool(&o.ExternalUnixConnections, "ext-unix-sk", "allow external unix sockets")
	f.Bool(&o.ShellJob, "shell-job", "allow shell jobs")
	f.Bool(&o.LazyPages, "lazy-pages", "use userfaultfd to lazily restore memory pages")
	f.Bool(&o.FileLocks, "file-locks", "handle file locks, for safety")
	f.String(&o.ManageCgroupsMode, "manage-cgroups-mode", "cgroups mode: soft|full|strict|ignore (default: soft)")
	f.Strings(&o.emptyNs, "empty-ns", "create a namespace, but don't restore its properties")
	f.Bool(&o.AutoDedup, "auto-dedup", "enable auto deduplication of memory images")
}

// options checks what the flags say. Relative paths begin in dir, the working
// directory if it is empty; the default is ./checkpoint of the working
// directory in any case.
func (o *criuOptions) options(dir string) (*sandbox.CheckpointOptions, error) {
	opts := o.CheckpointOptions
	if opts.ImagesDirectory == "" {
		wd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		opts.ImagesDirectory = filepath.Join(wd, "checkpoint")
	}
	for _, p := range []*string{&opts.ImagesDirectory, &opts.WorkDirectory} {
		if dir != "" && *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	if o.pageServer != "" {
		server, err := parsePageServer(o.pageServer)
		if err != nil {
			return nil, err
		}
		opts.PageServer = server
	}
	for _, ns := range o.emptyNs {
		if ns != "network" { // which always is
			return nil, &usageError{fmt.Errorf("namespace %q is not supported", ns)}
		}
	}
	return &opts, nil
}

func parsePageServer(s string) (server sandbox.CriuPageServer, err error) {
	address, port, err := net.SplitHostPort(s)
	if err != nil || address == "" || port == "" {
		return server, &usageError{errors.New("Use --page-server ADDRESS:PORT to specify page server")}
	}
	n, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		return server, &usageError{errors.New("Invalid port number")}
	}
	return sandbox.CriuPageServer{Address: address, Port: int32(n)}, nil
}

func warnRootless(e *env) {
	if os.Geteuid() != 0 || sandbox.RunningInUserNS() {
		e.log.warn(fmt.Errorf("%s checkpoint is untested with rootless containers", e.prog))
	}
}
