package contract

import (
	"os"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// binEnv and runcEnv are the paths of podrt and of the runc that it is held
// against: the one whose libcontainer it links.
const (
	binEnv  = "PODRT_BIN"
	runcEnv = "PODRT_RUNC"
)

func TestMain(m *testing.M) {
	// Callers' variables must not reach what is tested.
	for _, name := range []string{"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "XDG_RUNTIME_DIR"} {
		_ = os.Unsetenv(name)
	}
	rung.Main(m, map[string]string{binEnv: "bin/podrt", runcEnv: "bin/tools/runc"})
}
