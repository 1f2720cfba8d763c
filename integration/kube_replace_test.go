package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKubeReplace: a pod stays if the one that is to come in its place cannot be made,
// and so does the bundle of another play.
func TestKubeReplace(t *testing.T) {
	w := newKubeWorld(t)
	const uid = "7d2ad9f5-5a52-4ffe-a5d6-bd0f2a1fa39c"
	withUID := func(name string) string {
		return strings.Replace(kubeScript(name, "sleep 1000"), "name: "+name, "name: "+name+", uid: "+uid, 1)
	}
	file := w.manifest(t, withUID("job"))
	w.ok(t, "kube", "play", "--network", "none", "--detach", file)
	old := w.inspect(t, "job").Containers[0].PID
	for _, c := range []struct{ network, manifest, want string }{
		{"nonesuch", withUID("job"), `pod "job": network "nonesuch": no such network`},
		{"none", withUID("job") + "---" + withUID("other"), `pod "other": UID "` + uid + `": is that of the pod "job"`},
		{"none", withUID("job") + "---" + withUID("job"), `there is an earlier one of that name`},
		{"none", withUID("other"), `pod "other": UID "` + uid + `": is that of the pod "job"`},
	} {
		r := w.podrt(t, "kube", "play", "--replace", "--network", c.network, "--detach", w.manifest(t, c.manifest))
		if r.code == 0 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("want an error with %s: %v", c.want, r)
		}
		if info := w.inspect(t, "job"); info.Containers[0].PID != old {
			t.Fatalf("the pod has been replaced: PID %d; want %d", info.Containers[0].PID, old)
		}
	}
	t.Run("no podrt-probe", func(t *testing.T) {
		t.Setenv(dialEnv, filepath.Join(w.dir, "none"))
		asked := strings.Replace(withUID("job"), "image: IMAGE", "image: IMAGE, livenessProbe: {tcpSocket: {port: 80}}", 1)
		w.fails(t, 125, []string{"$" + dialEnv, "no such file"}, "kube", "play", "--replace", "--network", "none", "--detach", w.manifest(t, asked))
		if info := w.inspect(t, "job"); info.Containers[0].PID != old {
			t.Errorf("the pod has been replaced: PID %d; want %d", info.Containers[0].PID, old)
		}
	})
	w.ok(t, "kube", "down", file)

	// Another's bundle, whose pod is about to be made.
	other := filepath.Join(w.run, "bundles", uid)
	if err := os.MkdirAll(other, 0o700); err != nil {
		t.Fatal(err)
	}
	_, stat, _ := strings.Cut(readFile(t, "/proc/self/stat"), ") ")
	maker := fmt.Sprintf(`{"pid": %d, "start": %s}`, os.Getpid(), strings.Fields(stat)[19])
	if err := os.WriteFile(filepath.Join(other, "maker.json"), []byte(maker), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := w.podrt(t, "kube", "play", "--network", "none", file); r.code == 0 || !strings.Contains(r.stderr, uid) {
		t.Errorf("a play of a pod that another play makes: %v; want an error", r)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("the other's bundle: %v", err)
	}
	if err := os.RemoveAll(filepath.Dir(other)); err != nil {
		t.Fatal(err)
	}
}
