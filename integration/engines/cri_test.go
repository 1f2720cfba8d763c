package engines

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// object is a message of the CRI in its JSON form.
type object = map[string]any

// criNamespace is where containerd's CRI plugin has its images and containers.
const criNamespace = "k8s.io"

// kubelet is a containerd and what calls its CRI plugin.
type kubelet struct {
	*containerd
	subnet string // of the CNI network: 10.77.0 is 10.77.0.0/24
}

// cniConfig is a network of a bridge of our own, whose addresses are noted in
// the lab. Without masquerade nothing calls iptables.
const cniConfig = `{"cniVersion": "0.4.0", "name": %[1]q, "plugins": [{
	"type": "bridge", "bridge": %[1]q, "isGateway": true,
	"ipam": {"type": "host-local", "dataDir": %[2]q, "ranges": [[{"subnet": "%[3]s.0/24"}]]}
}]}`

func newKubelet(x *try, l *lab) *kubelet {
	k := &kubelet{subnet: "10.77.0"}
	if l.runtime.path == debianRunc {
		k.subnet = "10.78.0"
	}
	bridge := "cri-" + l.runtime.name
	removeLink(x, bridge)
	l.write(x, "cni/net.conflist", fmt.Sprintf(cniConfig, bridge, l.path("ipam"), k.subnet))
	k.containerd = newContainerd(x, l)
	x.eventually("the CRI plugin works", func() bool { return l.quiet(k.ready()...) == nil })
	k.load(x, criNamespace)
	return k
}

// ready is a command that succeeds as soon as the CRI plugin does its work.
func (k *kubelet) ready() []string { return []string{os.Getenv(criEnv), k.socket, "Version"} }

// try calls a method.
func (k *kubelet) try(x *try, method string, request object) result {
	if request == nil {
		request = object{}
	}
	b, err := json.Marshal(request)
	x.must(err)
	return k.lab.try(x, command{args: []string{os.Getenv(criEnv), k.socket, method, string(b)}})
}

// call calls a method, which must succeed, and reads its answer into *answer
// unless that is nil.
func (k *kubelet) call(x *try, method string, request object, answer any) {
	r := k.try(x, method, request)
	if r.code != 0 {
		x.Fatalf("%s", r)
	}
	if answer != nil {
		x.must(json.Unmarshal([]byte(r.out), answer))
	}
}

// pod is a sandbox that runs.
type pod struct {
	k       *kubelet
	id      string
	config  object
	removed bool
}

// Where a namespace of a sandbox is to be shared.
const (
	criPod       = "POD"
	criContainer = "CONTAINER"
	criNode      = "NODE"
)

// run makes a sandbox, which is removed when the operation is over, with all
// its containers. Linux is the part of that name of its configuration.
func (k *kubelet) run(x *try, name string, linux object) *pod {
	p := &pod{k: k, config: object{
		"metadata":     object{"name": name, "namespace": "test", "uid": "uid-" + name},
		"logDirectory": k.path("logs", name),
		"linux":        linux,
	}}
	if !strings.HasPrefix(name, "host") {
		p.config["hostname"] = name // runc refuses to set the host's
	}
	k.call(x, "RunPodSandbox", object{"config": p.config}, &struct{ PodSandboxID *string }{&p.id})
	x.Cleanup(func(t *testing.T) {
		for _, fault := range attempt(t, func(x *try) { p.remove(x) }) {
			t.Errorf("clean up: %s", fault)
		}
	})
	return p
}

// remove does nothing when it is called again.
func (p *pod) remove(x *try) {
	if p.removed {
		return
	}
	p.removed = true
	p.k.call(x, "StopPodSandbox", object{"podSandboxId": p.id}, nil)
	p.k.call(x, "RemovePodSandbox", object{"podSandboxId": p.id}, nil)
}

// namespaces is the option of a sandbox, and of a container, that says where
// its PID namespace is shared.
func namespaces(pid string) object {
	return object{"namespaceOptions": object{"network": criPod, "ipc": criPod, "pid": pid}}
}

// container is one in a pod.
type container struct {
	p        *pod
	name, id string
}

// create makes a container. More are further members of its configuration.
func (p *pod) create(x *try, name string, more object, cmd ...string) *container {
	c := &container{p: p, name: name}
	config := object{
		"metadata": object{"name": name},
		"image":    object{"image": containerdImage},
		"command":  cmd,
		"logPath":  name + ".log",
	}
	for k, v := range more {
		config[k] = v
	}
	p.k.call(x, "CreateContainer", object{"podSandboxId": p.id, "config": config, "sandboxConfig": p.config}, &struct{ ContainerID *string }{&c.id})
	return c
}

// start makes and starts a container.
func (p *pod) start(x *try, name string, more object, cmd ...string) *container {
	c := p.create(x, name, more, cmd...)
	p.k.call(x, "StartContainer", object{"containerId": c.id}, nil)
	return c
}

// security is the member of a container's configuration for its security
// context, with the pod's PID namespace shared as pid says.
func security(pid string, context object) object {
	for k, v := range namespaces(pid) {
		context[k] = v
	}
	return object{"linux": object{"securityContext": context}}
}

// tryExec runs a command in the container.
func (c *container) tryExec(x *try, cmd ...string) (out, stderr string, code int, failed string) {
	r := c.p.k.try(x, "ExecSync", object{"containerId": c.id, "cmd": cmd, "timeout": 60})
	if r.code != 0 {
		return "", "", 0, r.stderr
	}
	var answer struct {
		Stdout, Stderr []byte
		ExitCode       int
	}
	x.must(json.Unmarshal([]byte(r.out), &answer))
	return strings.TrimSpace(string(answer.Stdout)), strings.TrimSpace(string(answer.Stderr)), answer.ExitCode, ""
}

// exec runs a command that must succeed, and returns what it prints.
func (c *container) exec(x *try, cmd ...string) string {
	out, stderr, code, failed := c.tryExec(x, cmd...)
	if code != 0 || failed != "" {
		x.Fatalf("exec %q: exit code %d, %s: %s %s", cmd, code, failed, out, stderr)
	}
	return out
}

// stop stops the container, with a time in seconds for the signal TERM.
func (c *container) stop(x *try, seconds int) {
	c.p.k.call(x, "StopContainer", object{"containerId": c.id, "timeout": seconds}, nil)
}

// criStatus is some of a container's.
type criStatus struct {
	State, Reason, Message string
	ExitCode               int
}

func (c *container) status(x *try) (s criStatus) {
	c.p.k.call(x, "ContainerStatus", object{"containerId": c.id}, &struct{ Status *criStatus }{&s})
	return s
}

// awaitExit waits for the container's end.
func (c *container) awaitExit(x *try) (s criStatus) {
	x.eventually("the end of container "+c.id, func() bool {
		s = c.status(x)
		return s.State == "CONTAINER_EXITED"
	})
	return s
}

// pid is that of the container's first process.
func (k *kubelet) pid(x *try, id string) int {
	b, err := os.ReadFile(filepath.Join(k.bundle(id), "init.pid"))
	x.must(err)
	var pid int
	_, err = fmt.Sscan(string(b), &pid)
	x.must(err)
	return pid
}

// bundle is where containerd has the bundle of a container that runs.
func (k *kubelet) bundle(id string) string {
	return k.path("state", "io.containerd.runtime.v2.task", criNamespace, id)
}

// log is what the container has printed, without the CRI's stamps.
func (c *container) log(x *try) string {
	b, err := os.ReadFile(filepath.Join(c.p.config["logDirectory"].(string), c.name+".log"))
	x.must(err)
	var out strings.Builder
	for line := range strings.Lines(string(b)) {
		// 2026-11-22T19:32:35.241399646Z stdout F text
		if f := strings.SplitN(line, " ", 4); len(f) == 4 {
			out.WriteString(f[1] + ": " + f[3])
		}
	}
	return out.String()
}

func TestCRI(t *testing.T) {
	rung.Privileged(t)
	removePodrtRun(t)
	compare(t, newKubelet, slices.Concat(criBasics, criPods, criSecurity, criRecovery, enginePod, criLimits)...)
}

// kill sends KILL to a process.
func kill(x *try, pid int) { x.must(unix.Kill(pid, unix.SIGKILL)) }
