package sandbox

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// In this test's binary the constructors are linked the other way round than in
// podrt (nsenter/slack.c). A container has its caller's timer slack all the same.
func TestContainerTimerSlack(t *testing.T) {
	rung.Privileged(t)
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	bundle, spec := busyboxBundle(t, "busybox cat /proc/self/timerslack_ns")
	c, err := CreateContainer(ContainerConfig{Root: t.TempDir(), ID: "c", Bundle: bundle, Spec: spec})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Delete(patience(t), true); err != nil {
			t.Error(err)
		}
	}()
	var out bytes.Buffer
	p := &Process{Spec: spec.Process, Stdout: &out, Stderr: &out}
	if err := c.StartInit(p); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != strconv.Itoa(slack) {
		t.Errorf("timer slack of a container, in ns: %q; its caller's is %d", got, slack)
	}
}
