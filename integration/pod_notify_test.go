package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
)

// TestPodRunNotify: a foreground pod run tells the service manager that the pod is
// ready when its probes say so, and that it ends.
func TestPodRunNotify(t *testing.T) {
	w := newWorld(t)
	m := newServiceManager(t)
	a := probed("a", "trap 'exit 0' TERM; while :; do sleep 0.05; done", object{"readinessProbe": each(command("test -e /ctl/ready"))})
	argv := w.argv("pod", "run", w.podOf(t, nil, a))
	run := exec.Command(argv[0], argv[1:]...)
	run.Env = append(os.Environ(), m.env)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the probe has failed", func() bool {
		if w.podrt(t, "pod", "inspect", "p").code != 0 {
			return false // not made yet
		}
		p := w.inspect(t, "p").container(t, "a").Probes
		return p != nil && p.Readiness != nil && p.Readiness.Failures > 0
	})
	if n, _, err := unix.Recvfrom(m.fd(), make([]byte, 100), unix.MSG_DONTWAIT); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the service manager is told %d bytes, %v, before the pod is ready", n, err)
	}
	write(t, filepath.Join(w.ctl, "ready"), "")
	m.expect(fmt.Sprintf("READY=1\nMAINPID=%d\nSTATUS=Pod p is ready.\n", run.Process.Pid))
	if err := run.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.expect("STOPPING=1\n")
	if err := run.Wait(); err != nil {
		t.Errorf("pod run: %v", err)
	}
}

// TestPodRunNotifyNobody: that the service manager has gone, or that the pod ends
// before it is ready, is no reason for anything.
func TestPodRunNotifyNobody(t *testing.T) {
	w := newWorld(t)
	m := newServiceManager(t)
	ends := w.podOf(t, nil, bundle.Container{Name: "a", Spec: bundle.Spec("sh", "-c", "exit 3")})
	for _, env := range []string{"NOTIFY_SOCKET=/nonexistent", m.env} {
		argv := w.argv("pod", "run", ends)
		run := exec.Command(argv[0], argv[1:]...)
		run.Env = append(os.Environ(), env)
		began := time.Now()
		var exit *exec.ExitError
		if err := run.Run(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
			t.Errorf("%s: pod run: %v; want exit status 3", env, err)
		}
		if took := time.Since(began); took > commandLimit/2 {
			t.Errorf("%s: that took %v", env, took)
		}
	}
}
