package engines

import (
	"testing"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// binEnv is the path of podrt.
const binEnv = "PODRT_BIN"

func TestMain(m *testing.M) {
	rung.Main(m, map[string]string{binEnv: "bin/podrt", bundle.ProbeEnv: "bin/probe"})
}
