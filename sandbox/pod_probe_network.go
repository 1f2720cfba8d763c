package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netprobe"
	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

// probeProgram asks by the network.
var probeProgram = netsetup.Program{Name: "podrt-probe", Env: "PODRT_PROBE_PROGRAM", Purpose: "httpGet, tcpSocket and grpc"}

// dials reports whether a container is asked by the network.
func (c *PodContainer) dials() bool {
	return slices.ContainsFunc(c.probes(), func(p kindOfProbe) bool { return p.probe.Exec == nil }) ||
		slices.ContainsFunc(c.handlers(), func(h namedHandler) bool { return h.handler.HTTPGet != nil })
}

// checkProbeProgram verifies that the program is there that the pod's probes need.
func (s *PodSpec) checkProbeProgram() error {
	if !slices.ContainsFunc(s.Own(), func(c PodContainer) bool { return c.dials() }) {
		return nil
	}
	_, err := probeProgram.Find()
	return err
}

// dialer asks a container by the network.
type dialer struct {
	p      *Pod
	pid    int // the container's init, and its start time
	start  uint64
	self   netip.Addr // where the pod is
	reaped *reaper    // of this process, nil if it has none
}

func (p *Pod) newDialer(pid int, start uint64, reaped *reaper) *dialer {
	return &dialer{p: p, pid: pid, start: start, self: p.firstAddress(), reaped: reaped}
}

// firstAddress is the pod's first address; the loopback's if it has none of its own.
func (p *Pod) firstAddress() netip.Addr {
	n := p.rec.Network
	if p.rec.JoinsNet != "" {
		if target, err := p.store.load(p.rec.JoinsNet); err == nil {
			n = target.rec.Network
		}
	}
	if n == nil || n.Interface == nil || len(n.Interface.Addresses) == 0 {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return n.Interface.Addresses[0].Addr()
}

// address is that of a host, as validateHost has it.
func (d *dialer) address(host string) netip.Addr {
	switch host {
	case "":
		return d.self
	case "localhost":
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	a, _ := netip.ParseAddr(host) // validated
	return a
}

func (d *dialer) httpGet(h *HTTPGetAction, anyStatus bool) netprobe.Request {
	r := netprobe.Request{Kind: netprobe.HTTP, Address: d.address(h.Host), Port: h.Port, TLS: h.Scheme == SchemeHTTPS, Path: h.Path, AnyStatus: anyStatus}
	for _, header := range h.HTTPHeaders {
		r.Headers = append(r.Headers, netprobe.Header{Name: header.Name, Value: header.Value})
	}
	return r
}

// request is what a probe without a command asks.
func (d *dialer) request(p *Probe) netprobe.Request {
	switch {
	case p.TCPSocket != nil:
		return netprobe.Request{Kind: netprobe.TCP, Address: d.address(p.TCPSocket.Host), Port: p.TCPSocket.Port}
	case p.GRPC != nil:
		return netprobe.Request{Kind: netprobe.GRPC, Address: d.self, Port: p.GRPC.Port, Service: p.GRPC.Service}
	}
	return d.httpGet(p.HTTPGet, false)
}

// netns opens the container's network namespace; nil for the host's.
func (d *dialer) netns() (*os.File, error) {
	if d.p.usesHost(nsenter.Net) {
		return nil, nil
	}
	if pin, ok := d.p.pin(nsenter.Net); ok {
		return pin.Open()
	}
	f, err := os.Open("/proc/" + strconv.Itoa(d.pid) + "/ns/net")
	if err != nil {
		return nil, err
	}
	// After the open: the PID was not another's then.
	if start, err := processStart(d.pid); err != nil || start != d.start {
		f.Close()
		return nil, ErrNotRunning
	}
	return f, nil
}

// dialGrace is how much longer than the request says podrt-probe may take.
const dialGrace = time.Second

// ask has podrt-probe do what the request says, in the container's network namespace.
// It ends with ctx, and with this process.
func (d *dialer) ask(ctx context.Context, r netprobe.Request) probeAnswer {
	r.Protocol = netprobe.Protocol
	if deadline, ok := ctx.Deadline(); ok {
		r.Timeout = time.Until(deadline)
	}
	in, err := json.Marshal(r)
	if err != nil {
		return probeAnswer{err: err}
	}
	ns, err := d.netns()
	if err != nil {
		return probeAnswer{err: err}
	}
	if ns != nil {
		defer ns.Close()
	}
	// It says itself that its time is over.
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Timeout+dialGrace)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancel()
		}
	})()
	answers := make(chan probeAnswer)
	go func() {
		// Never unlocked: the thread, which may be in another network namespace, ends
		// with the goroutine.
		runtime.LockOSThread()
		answers <- d.execute(limit, ns, in)
	}()
	return <-answers
}

// execute is called on a thread of its own.
func (d *dialer) execute(ctx context.Context, ns *os.File, in []byte) probeAnswer {
	path, err := probeProgram.Find()
	if err != nil {
		return probeAnswer{err: err}
	}
	if ns != nil {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return probeAnswer{err: fmt.Errorf("join network namespace: %w", err)}
		}
	}
	var stdout, stderr limitedBuffer
	cmd := exec.CommandContext(ctx, path)
	cmd.Env, cmd.Dir = []string{"GOMAXPROCS=1"}, "/"
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// Open until it has answered: it ends with this process.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return probeAnswer{err: err}
	}
	defer stdin.Close()
	cmd.WaitDelay = dialGrace
	// A group of its own: a signal from the terminal is podrt's to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	release := func() {}
	if d.reaped != nil {
		release = d.reaped.hold()
	}
	err = cmd.Start()
	if err == nil && d.reaped != nil {
		d.reaped.add(cmd.Process.Pid)
	}
	release()
	if err == nil {
		_, _ = stdin.Write(append(in, '\n')) // if it does not read that, it says why
		err = cmd.Wait()
		if d.reaped != nil {
			d.reaped.release(cmd.Process.Pid)
		}
	}
	if ctx.Err() != nil {
		return probeAnswer{message: "timed out"}
	}
	var a netprobe.Answer
	if err == nil {
		err = json.Unmarshal(stdout.b, &a)
	}
	switch {
	case err != nil:
		return probeAnswer{err: fmt.Errorf("%s: %w: %q", path, err, strings.TrimSpace(string(stderr.b)))}
	case a.Error != "":
		return probeAnswer{err: fmt.Errorf("%s: %s", path, a.Error)}
	}
	return probeAnswer{ok: a.OK, message: printable(a.Message)}
}

// limitedBuffer holds the beginning of what is written to it.
type limitedBuffer struct{ b []byte }

func (l *limitedBuffer) Write(b []byte) (int, error) {
	const most = 16 << 10
	l.b = append(l.b, b[:min(len(b), most-len(l.b))]...)
	return len(b), nil
}

var _ io.Writer = (*limitedBuffer)(nil)
