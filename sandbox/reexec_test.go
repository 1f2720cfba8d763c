package sandbox

import (
	"os"

	"github.com/opencontainers/runc/libcontainer"

	_ "github.com/opencontainers/runc/libcontainer/nsenter"
)

// libcontainer runs this test binary as the init of the containers made here.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "init" {
		libcontainer.Init()
	}
}
