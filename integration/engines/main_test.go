package engines

import (
	"testing"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// binEnv is the path of podrt, criEnv of the program that calls a CRI socket.
const (
	binEnv = "PODRT_BIN"
	criEnv = "PODRT_CRI"
)

func TestMain(m *testing.M) {
	rung.Main(m, map[string]string{binEnv: "bin/podrt", criEnv: "bin/cri", bundle.ProbeEnv: "bin/probe"})
}
