package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSystemdService: the unit that is installed runs a manifest: it is active when
// the pod is ready, failed when podrt was killed, and nothing is left by its end.
func TestSystemdService(t *testing.T) {
	needSystemd(t)
	w := newKubeWorld(t)
	stopSlices(t, "system-podrt.slice")
	unit, err := os.ReadFile("../cmd/podrt/podrt@.service")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(unit), "/usr/local/sbin/podrt", strings.Join(w.argv(), " "))
	text = strings.ReplaceAll(text, "/etc/podrt/", w.dir+"/")
	text = strings.Replace(text, "Restart=on-failure", "Restart=no", 1)
	const file = "/run/systemd/system/podrt@.service"
	write(t, file, text)
	t.Cleanup(func() {
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
		systemctl(t, "daemon-reload")
	})
	systemctl(t, "daemon-reload")
	write(t, filepath.Join(w.dir, "web.yaml"), strings.ReplaceAll(`
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  hostNetwork: true
  containers:
  - name: a
    image: IMAGE
    command: [sh, -c, "trap 'exit 0' TERM; touch /tmp/up; while :; do sleep 0.1; done"]
    readinessProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 1, timeoutSeconds: 30}
`, "IMAGE", kubeImage))
	systemctl(t, "start", "podrt@web")
	if p := w.inspect(t, "web"); !p.Ready {
		t.Errorf("when the unit is active its pod is %+v; want it ready", p)
	}
	began := time.Now()
	systemctl(t, "stop", "podrt@web")
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("systemctl stop took %v; want the container asked to end", took)
	}
	wantProperties(t, "podrt@web.service", map[string]string{"ActiveState": "inactive", "Result": "success"})
	w.fails(t, 1, []string{"does not exist"}, "pod", "inspect", "web")

	systemctl(t, "start", "podrt@web")
	systemctl(t, "kill", "--kill-who=main", "--signal=KILL", "podrt@web")
	eventually(t, "what it has left is gone", func() bool { return w.podrt(t, "pod", "inspect", "web").code != 0 })
	eventually(t, "the unit has failed", func() bool {
		return unitProperties(t, "podrt@web.service")["ActiveState"] == "failed"
	})
	wantProperties(t, "podrt@web.service", map[string]string{"Result": "signal"})
	systemctl(t, "reset-failed", "podrt@web")
}
