package integration

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// kubeImage is the reference of the image that kubeWorld makes.
const kubeImage = "localhost/busybox:1"

// newKubeWorld is a netWorld with an image of busybox.
func newKubeWorld(t *testing.T) *netWorld {
	t.Helper()
	w := newNetWorld(t)
	root, archive := filepath.Join(w.dir, "root"), filepath.Join(w.dir, "root.tar")
	if err := bundle.Root(root); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "-C", root, "-cf", archive, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	w.ok(t, "image", "import", "--change", `CMD ["sleep", "1000"]`, "--change", "ENV FROM=image", archive, kubeImage)
	t.Cleanup(func() {
		w.removeAll(t)
		if left := w.leftOfPods(); len(left) > 0 && !t.Failed() {
			t.Errorf("after the pods there is %q", left)
		}
		if err := os.RemoveAll(filepath.Join(w.lib, "images")); err != nil {
			t.Error(err)
		}
	})
	return w
}

// leftOfPods is left without the image store.
func (w *netWorld) leftOfPods() (left []string) {
	for _, name := range w.left() {
		if !strings.HasPrefix(name, "lib/images") {
			left = append(left, name)
		}
	}
	return left
}

// manifest writes one and returns its path.
func (w *netWorld) manifest(t *testing.T, text string) string {
	t.Helper()
	w.made++
	path := filepath.Join(w.dir, fmt.Sprintf("manifest-%d.yaml", w.made))
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "IMAGE", kubeImage)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const kubeWeb = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 2000}
  volumes:
  - {name: settings, configMap: {name: settings}}
  - {name: db, secret: {secretName: db, defaultMode: 0400}}
  - {name: www, emptyDir: {}}
  initContainers:
  - name: prepare
    image: IMAGE
    command: [sh, -c, "echo made by $(WHO) > /www/index.html"]
    env: [{name: WHO, value: prepare}]
    volumeMounts: [{name: www, mountPath: /www}]
  containers:
  - name: server
    image: IMAGE
    command: [httpd, -f, -p, "8080", -h, /www]
    ports: [{name: http, containerPort: 8080, hostPort: 18080, hostIP: 127.0.0.1}]
    readinessProbe: {httpGet: {port: http}, periodSeconds: 1}
    lifecycle: {postStart: {exec: {command: [sh, -c, "echo started > /tmp/started"]}}}
    volumeMounts: [{name: www, mountPath: /www, readOnly: true}]
  - name: client
    image: IMAGE
    command: [sh, -c, "echo $IP > /www/ip; exec sleep 1000"]
    env:
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    securityContext: {runAsUser: 65534, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts:
    - {name: settings, mountPath: /etc/settings}
    - {name: db, mountPath: /etc/db}
    - {name: www, mountPath: /www}
`

// TestKubePlay: a manifest as people write it, up to the last byte of it gone.
func TestKubePlay(t *testing.T) {
	w := newKubeWorld(t)
	file := w.manifest(t, kubeWeb)
	uid := strings.TrimSpace(w.ok(t, "kube", "play", "--detach", file).stdout)
	if info := w.inspect(t, "web"); info.UID != uid || info.Phase != "Running" {
		t.Errorf("UID %q, phase %q; want %q, Running", info.UID, info.Phase, uid)
	}
	ip := w.network(t, "web").Interface.Addresses[0].Addr().String()
	w.ok(t, "pod", "wait", "--ready", "web")
	if got := w.ok(t, "pod", "exec", "web", "server", "cat", "/tmp/started").stdout; got != "started\n" {
		t.Errorf("of postStart: %q", got)
	}
	client := func(script string) string {
		return strings.TrimSpace(w.ok(t, "pod", "exec", "web", "client", "sh", "-c", script).stdout)
	}
	for _, c := range []struct{ script, want string }{
		{"cat /etc/settings/colour", "blue"},
		{"cat /etc/db/password; echo; stat -c '%a %u %g' /etc/db/password", "s3cret\n440 0 2000"},
		{"touch /etc/settings/x 2>&1; echo $?", "touch: /etc/settings/x: Read-only file system\n1"},
		{"grep -E ' /etc/(hosts|hostname|resolv.conf) ' /proc/self/mountinfo | cut -d ' ' -f 6 | cut -d , -f 1", "ro\nro\nro"},
		{"touch /x 2>&1; echo $?", "touch: /x: Read-only file system\n1"},
		{"echo $PASSWORD $NAME $FROM $HOSTNAME", "s3cret web image web"},
		{"id -u; id -g; id -G", "65534\n65534\n65534 2000"},
		{"grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t'", "CapBnd:0000000000000000\nNoNewPrivs:1\nSeccomp:2"},
		{"cat /proc/self/oom_score_adj; hostname", "1000\nweb"},
		{"stat -c '%a %g' /www; echo mine > /www/mine; stat -c '%u %g' /www/mine", "2777 2000\n65534 2000"},
		{"wget -qO - http://localhost:8080/", "made by prepare"},
		{"cat /www/ip; echo $IP; wget -qO - http://$IP:8080/", ip + "\n" + ip + "\nmade by prepare"},
	} {
		if got := client(c.script); got != c.want {
			t.Errorf("%s: %q; want %q", c.script, got, c.want)
		}
	}
	if got := httpGet(t, "127.0.0.1:18080"); !strings.HasSuffix(got, "made by prepare\n") {
		t.Errorf("by the host's port: %q", got)
	}
	for path, mode := range map[string]os.FileMode{
		"": 0o700, "pod.json": 0o600, "containers/client/config.json": 0o600, "volumes": 0o700, "volumes/db/password": 0o440,
	} {
		if info, err := os.Stat(filepath.Join(w.run, "bundles", uid, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q in the bundle: %v, %v; want mode %o", path, info, err, mode)
		}
	}

	t.Run("again", func(t *testing.T) {
		r := w.podrt(t, "kube", "play", "--detach", file)
		if r.code == 0 || !strings.Contains(r.stderr, `pod "web" (`+uid+`)`) || !strings.Contains(r.stderr, "--replace") {
			t.Errorf("a second play: %v; want an error that names the pod", r)
		}
		next := strings.TrimSpace(w.ok(t, "kube", "play", "--detach", "--replace", file).stdout)
		if next == uid || w.inspect(t, "web").UID != next {
			t.Errorf("UID %q after --replace; want another than %q", next, uid)
		}
		if _, err := os.Stat(filepath.Join(w.run, "bundles", uid)); err == nil {
			t.Error("the bundle of the pod that was replaced is left")
		}
	})

	for range 2 { // the second finds nothing, which is what is wanted
		w.ok(t, "kube", "down", file)
		w.ok(t, "network", "prune") // the default network was made for it
		if left := w.leftOfPods(); len(left) > 0 {
			t.Errorf("after the pod there is %q", left)
		}
	}
}

// httpGet asks a server for its first page.
func httpGet(t *testing.T, address string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

const kubeJob = `
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  containers:
  - {name: a, image: IMAGE, command: [sh, -c, SCRIPT]}
`

func kubeScript(name, script string) string {
	return strings.NewReplacer("NAME", name, "SCRIPT", script).Replace(kubeJob)
}

// TestKubeForeground: output, exit status, and what a play that was killed leaves.
func TestKubeForeground(t *testing.T) {
	w := newKubeWorld(t)
	r := w.podrt(t, "kube", "play", "--network", "none", w.manifest(t, kubeScript("job", "echo hello; exit 3")))
	if r.code != 3 || r.stdout != "a | hello\n" {
		t.Errorf("exit code %d; want 3 and hello: %v", r.code, r)
	}
	if left := w.leftOfPods(); len(left) > 0 {
		t.Errorf("after the pod there is %q", left)
	}

	t.Run("cannot run", func(t *testing.T) {
		r := w.podrt(t, "kube", "play", "--network", "nonesuch", w.manifest(t, kubeScript("job", "exit 0")))
		if r.code != 125 || !strings.Contains(r.stderr, "nonesuch") {
			t.Errorf("exit code %d; want 125: %v", r.code, r)
		}
		r = w.podrt(t, "kube", "bundle", w.manifest(t, strings.Replace(kubeScript("job", "exit 0"), "image: IMAGE", "image: IMAGE, imagePullPolicy: Always", 1)), filepath.Join(w.dir, "none"))
		if r.code != 1 || !strings.Contains(r.stderr, "which imagePullPolicy IfNotPresent is content with") {
			t.Errorf("an image that is in the store and in no registry: %v; want a hint", r)
		}
		if left := w.leftOfPods(); len(left) > 0 {
			t.Errorf("after a pod that could not be made there is %q", left)
		}
	})
	t.Run("one of two", func(t *testing.T) {
		r := w.podrt(t, "kube", "play", "--network", "none", "--detach",
			w.manifest(t, kubeScript("first", "sleep 1000")+"---"+strings.Replace(kubeScript("second", "exit 0"), "command: [sh,", "command: [nonesuch,", 1)))
		if r.code != 127 || !strings.Contains(r.stderr, "nonesuch") {
			t.Errorf("exit code %d; want 127: %v", r.code, r)
		}
		if left := w.leftOfPods(); len(left) > 0 {
			t.Errorf("after a play that failed there is %q", left)
		}
	})
	t.Run("killed", func(t *testing.T) {
		file := w.manifest(t, kubeScript("job", "echo ready; sleep 1000"))
		argv := w.argv("kube", "play", "--network", "none", file)
		cmd := exec.Command(argv[0], argv[1:]...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = t.Output()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, len("a | ready\n"))
		if _, err := io.ReadFull(out, line); err != nil || string(line) != "a | ready\n" {
			t.Errorf("output %q, %v", line, err)
		}
		if err := cmd.Process.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		// Of a play that was killed before it had a pod.
		dead := filepath.Join(w.run, "bundles/0123-dead")
		if err := os.MkdirAll(filepath.Join(dead, "volumes"), 0o700); err != nil {
			t.Fatal(err)
		}
		maker := fmt.Sprintf(`{"pid": %d, "start": 1}`, cmd.Process.Pid)
		if err := os.WriteFile(filepath.Join(dead, "maker.json"), []byte(maker), 0o600); err != nil {
			t.Fatal(err)
		}
		w.ok(t, "kube", "down", file)
		if left := w.leftOfPods(); len(left) > 0 {
			t.Errorf("after a play that was killed there is %q", left)
		}
	})
	t.Run("not played", func(t *testing.T) {
		w.ok(t, "pod", "create", "job")
		r := w.podrt(t, "kube", "down", w.manifest(t, kubeScript("job", "exit 0")))
		if r.code == 0 || !strings.Contains(r.stderr, "was not made by kube play") {
			t.Errorf("down of a pod made by hand: %v; want an error", r)
		}
		w.ok(t, "pod", "rm", "job")
	})
	t.Run("bundle", func(t *testing.T) {
		dir := filepath.Join(w.dir, "compiled")
		w.ok(t, "kube", "bundle", w.manifest(t, kubeScript("job", "exit 4")), dir)
		if r := w.podrt(t, "pod", "run", "--network", "none", dir); r.code != 4 {
			t.Errorf("exit code %d; want 4: %v", r.code, r)
		}
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("the bundle is not left: %v", err)
		}
	})
}

const kubeLimited = `
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: m, emptyDir: {medium: Memory}}]
  containers:
  - name: a
    image: IMAGE
    resources: {requests: {cpu: 250m}, limits: {cpu: 500m, memory: 64Mi}}
    volumeMounts: [{name: m, mountPath: /m}]
  - name: b
    image: IMAGE
    resources: {limits: {cpu: 100m, memory: 16Mi}}
`

// TestKubeResources: requests and limits are where the kernel has them.
func TestKubeResources(t *testing.T) {
	w := newKubeWorld(t)
	rung.NeedController(t, "cpu", "memory")
	file := w.manifest(t, kubeLimited)
	w.ok(t, "kube", "play", "--detach", "--network", "none", file)
	pod := w.inspect(t, "limited").Cgroup
	for path, want := range map[string]string{
		"cpu.weight": "45", "cpu.max": "60000 100000", "memory.max": "83886080", // of 358 shares
		"a/cpu.weight": "35", "a/cpu.max": "50000 100000", "a/memory.max": "67108864", "a/memory.oom.group": "1", "a/memory.swap.max": "0",
		"b/cpu.weight": "17", "b/cpu.max": "10000 100000", "b/memory.max": "16777216",
	} {
		if got := strings.TrimSpace(readFile(t, filepath.Join(pod, path))); got != want {
			t.Errorf("%s: %q; want %q", path, got, want)
		}
	}
	if got := w.ok(t, "pod", "exec", "limited", "a", "sh", "-c", "df -m /m | awk 'NR == 2 {print $2}'").stdout; got != "80\n" {
		t.Errorf("the volume in memory has %q MiB; want the pod's 80", got)
	}
	w.ok(t, "kube", "down", file)
}

// TestKubeExample plays the manifest of make demo.
func TestKubeExample(t *testing.T) {
	w := newKubeWorld(t)
	rung.NeedController(t, "cpu", "memory")
	r := w.ok(t, "kube", "play", "--network", "none", "testdata/manifests/hello.yaml") // of kubeImage
	if !strings.Contains(r.stdout, "Hello from the Pod hello") {
		t.Errorf("%v; want a greeting", r)
	}
}

// TestCrashKube kills a play, and what takes its pod down.
func TestCrashKube(t *testing.T) {
	rung.Privileged(t)
	a := newArena(t)
	a.makeRoots(t)
	a.images = true
	a.ok(t, "image", "import", a.rootTar(t), kubeImage)
	file := filepath.Join(a.dir, "pod.yaml")
	text := strings.ReplaceAll(kubeScript("p", "exit 0"), "IMAGE", kubeImage) + "  volumes: [{name: v, configMap: {name: c}}]\n" +
		"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: b}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	down := func(t *testing.T, a *arena) {
		t.Helper()
		succeed(t, a, "kube", "down", file)
	}
	play := []string{"kube", "play", "--network", "none"}
	for _, c := range []crash{
		{name: "play", target: mainProcess, args: append(play, file), check: wantKilled, remove: down},
		{name: "down", target: mainProcess, args: []string{"kube", "down", file}, check: wantKilled, remove: down, prepare: func(t *testing.T, a *arena) {
			a.ok(t, append(play, "--detach", file)...)
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, a) })
	}
	a.images = false
	if err := os.RemoveAll(filepath.Join(a.lib, "images")); err != nil {
		t.Fatal(err)
	}
}
