package main

import (
	"os"

	"github.com/opencontainers/runc/libcontainer"

	// C constructors, which run before Go's runtime, libcontainer's first: it
	// joins and makes the namespaces of a container. Of podrt's, one makes those
	// of a pod, two save time: one where a process will be moved to another
	// cgroup (nsenter/grace.c), one in a container's init (nsenter/slack.c); and
	// one lets an init ignore no signal (nsenter/disposition.c).
	_ "github.com/opencontainers/runc/libcontainer/nsenter"
	_ "github.com/podrt/podrt/nsenter"
)

func init() {
	if len(os.Args) > 1 && os.Args[1] == "init" {
		// The second half of a container's init, after the constructor and
		// before anything else of this program. It does not return.
		libcontainer.Init()
	}
}
