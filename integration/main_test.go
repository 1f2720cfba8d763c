package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// binEnv and probeEnv are the paths of the programs that tests run; cniEnv is for
// podrt, which would find the program beside itself, too, as is dialEnv.
const (
	binEnv   = "PODRT_BIN"
	probeEnv = "PODRT_PROBE"
	cniEnv   = "PODRT_CNI"
	kubeEnv  = "PODRT_KUBE"
	dialEnv  = "PODRT_PROBE_PROGRAM"
)

func TestMain(m *testing.M) {
	rung.Main(m, map[string]string{
		binEnv: "bin/podrt", cniEnv: "bin/podrt-cni", kubeEnv: "bin/podrt-kube", dialEnv: "bin/podrt-probe",
		probeEnv: "bin/probe", peerEnv: "bin/tools/runc",
	})
}

// TestOnTheRung is the least privileged test: it says which kernel the others
// run on.
func TestOnTheRung(t *testing.T) {
	rung.Privileged(t)
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("rung %q, Linux %s", rung.Current(), strings.TrimSpace(string(release)))
	for _, env := range []string{binEnv, probeEnv} {
		path := os.Getenv(env)
		if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s=%q: %v; want a program", env, path, err)
		}
	}
	out, err := exec.Command(os.Getenv(binEnv), "--version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "podrt") {
		t.Errorf("podrt --version: %v: %s", err, out)
	}
}
