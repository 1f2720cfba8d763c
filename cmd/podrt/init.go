package main

import (
	"os"

	"github.com/opencontainers/runc/libcontainer"

	// The two C constructors, which run before Go's runtime and each act only
	// when their own environment variable is set: libcontainer's joins and
	// makes the namespaces of a container, podrt's those of a pod.
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
