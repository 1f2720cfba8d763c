package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
	"github.com/podrt/podrt/netprobe"
)

// TestProbeNetwork: the pod is asked by the network from inside of it, as nobody.
func TestProbeNetwork(t *testing.T) {
	w := newWorld(t)
	host := newListener(t) // on the host's loopback
	web := "mkdir /dev/shm/www; echo fine > /dev/shm/www/index.html; httpd -p 8080 -h /dev/shm/www; " + polite
	http := object{"httpGet": object{"port": 8080}}
	w.start(t, w.podOf(t, quick("Always", 1000),
		probed("a", web, object{
			"readinessProbe": each(http), "startupProbe": each(object{"tcpSocket": object{"port": 8080, "host": "localhost"}}, "failureThreshold", 60),
			"lifecycle": object{"postStart": object{"sleep": object{"seconds": 0}}, "preStop": object{"httpGet": object{"path": "/pre-stop", "port": 8081}}},
		}),
		// nc says who asks.
		probed("stop", "nc -l -p 8081 -e sh -c 'head -n 1 > /dev/shm/stop; echo' ; cat /dev/shm/stop", nil),
		probed("no", polite, object{"readinessProbe": each(object{"httpGet": object{"port": 8080, "path": "/none"}})}),
		probed("far", polite, object{"readinessProbe": each(object{"tcpSocket": object{"port": host.port}})}),
		probed("rpc", polite, object{"readinessProbe": each(object{"grpc": object{"port": 8080}})})))
	eventually(t, "a is ready", func() bool { return w.inspect(t, "p").container(t, "a").Ready })
	for name, message := range map[string]string{"no": "HTTP status 404", "far": "connection refused", "rpc": ""} {
		// The first time may have been before httpd was there.
		eventually(t, name+" is not ready: "+message, func() bool {
			c := w.inspect(t, "p").container(t, name)
			return w.unready(t, name) && !c.Ready && strings.Contains(c.Probes.Readiness.Message, message)
		})
	}
	uid := w.inspect(t, "p").UID
	w.ok(t, "pod", "stop", "p")
	if got := readFile(t, filepath.Join(w.log, uid, "stop.log")); !strings.HasPrefix(got, "GET /pre-stop HTTP/1.1") {
		t.Errorf("preStop: %q", got)
	}
	if n := host.accepted(); n != 0 {
		t.Errorf("the host's loopback was connected to %d times", n)
	}
	w.ok(t, "pod", "rm", "p")

	// With a network of its own the pod has an address, and no other is asked.
	w.start(t, w.podOf(t, bundle.Pod{"terminationGracePeriodSeconds": 1, "network": object{"mode": "bridge"}}, probed("a", "cd /dev/shm; echo fine > index.html; httpd -f -p 127.0.0.1:8080 & exec httpd -f -p 8081", object{
		"readinessProbe": each(object{"httpGet": object{"port": 8081}}),
		"livenessProbe":  each(object{"tcpSocket": object{"port": 8080}}, "failureThreshold", 1000),
	})))
	w.ready(t)
	eventually(t, "the loopback was not asked", func() bool {
		return strings.Contains(w.inspect(t, "p").container(t, "a").Probes.Liveness.Message, "connection refused")
	})
	w.ok(t, "pod", "rm", "-f", "p")
	w.ok(t, "network", "prune")
}

// TestProbeProgramUserNamespace: root of a user namespace that has nobody else, as pods
// can be made in, asks without capabilities.
func TestProbeProgramUserNamespace(t *testing.T) {
	rung.Privileged(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute))
	cmd := exec.Command("unshare", "--user", "--map-root-user", filepath.Join(filepath.Dir(podrtBinary()), "podrt-probe"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var answer strings.Builder
	cmd.Stdout = &answer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	request := netprobe.Request{
		Protocol: netprobe.Protocol, Kind: netprobe.HTTP, Timeout: time.Hour, Address: netip.MustParseAddr("127.0.0.1"),
		Port: uint16(l.Addr().(*net.TCPAddr).Port), Path: "/",
	}
	if err := json.NewEncoder(in).Encode(request); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	status := readFile(t, fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	for _, line := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"} {
		if !strings.Contains(status, line) {
			t.Errorf("no %q of the process that asks: %s", line, status)
		}
	}
	if _, err := conn.Read(make([]byte, 1<<10)); err != nil { // no answer before that
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || answer.String() != "{\"ok\":true}\n" {
		t.Errorf("it ended with %v and answered %q; want that it is well", err, answer.String())
	}
}

// TestProbeProgramMissing: a pod that needs podrt-probe is refused without it, before
// anything is made.
func TestProbeProgramMissing(t *testing.T) {
	w := newWorld(t)
	t.Setenv(dialEnv, filepath.Join(w.dir, "none"))
	dir := w.podOf(t, quick("Never", 1), probed("a", "exit 0", object{"livenessProbe": object{"tcpSocket": object{"port": 80}}}))
	w.fails(t, 125, []string{"$" + dialEnv, "no such file"}, "pod", "run", dir)
	if left := w.left(); len(left) > 0 {
		t.Errorf("there is %q", left)
	}
}

// listener counts who connects to it.
type listener struct {
	port  int
	count atomic.Int64
}

func newListener(t *testing.T) *listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	counter := &listener{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			counter.count.Add(1)
			_ = c.Close()
		}
	}()
	return counter
}

func (l *listener) accepted() int64 { return l.count.Load() }
