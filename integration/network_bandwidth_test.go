package integration

import (
	"strconv"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/rung"
)

// A limited link is measured over so many bytes, after so many that a burst may
// carry.
const (
	limitedRate = 8_000_000 // bits per second
	burstBytes  = 1_000_000
	pulledBytes = 1_000_000
)

// pullTime is how long the agent takes to read from a server that sends all it
// can.
func pullTime(t *testing.T, a *agent, addr string) time.Duration {
	t.Helper()
	us, err := strconv.Atoi(a.ask(t, "pull", addr, strconv.Itoa(burstBytes), strconv.Itoa(pulledBytes)))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(us) * time.Microsecond
}

// wantLimited compares with what the rate allows: half as fast again is too fast,
// and an unlimited link is a hundred times as fast; what a slow machine adds
// counts for little.
func wantLimited(t *testing.T, what string, took time.Duration) {
	t.Helper()
	ideal := time.Duration(pulledBytes*8) * time.Second / limitedRate
	t.Logf("%s: %v for %d bytes; %v at the limit", what, took, pulledBytes, ideal)
	if took < ideal*2/3 || took > ideal*5 {
		t.Errorf("%s: %v for %d bytes; want about %v", what, took, pulledBytes, ideal)
	}
}

func wantUnlimited(t *testing.T, what string, took time.Duration) {
	t.Helper()
	ideal := time.Duration(pulledBytes*8) * time.Second / limitedRate
	if took > ideal/2 {
		t.Errorf("%s: %v for %d bytes; want much less than %v", what, took, pulledBytes, ideal)
	}
}

// TestNetworkBandwidth measures links: with a limit by flag or by Kubernetes'
// annotation, and without.
func TestNetworkBandwidth(t *testing.T) {
	w := newNetWorld(t)
	w.outside.stay(t, "blast", far4+":5000")
	start := func(t *testing.T, name string, flags ...string) *netPod {
		t.Helper()
		p := w.pod(t, name, append(flags, "--network", "bridge")...)
		p.stay(t, "blast", ":5000")
		return p
	}
	t.Run("ingress", func(t *testing.T) {
		natively(t)
		in := start(t, "in", "--ingress-bandwidth", "8M")
		wantLimited(t, "ingress", pullTime(t, in.agent, far4+":5000"))
		wantUnlimited(t, "egress beside a limit of ingress", pullTime(t, w.host.agent, in.addr(t, false, "5000")))
	})
	t.Run("egress", func(t *testing.T) {
		r := w.podrt(t, "pod", "create", "--network", "bridge", "--egress-bandwidth", "8M", "probe")
		if r.code != 0 && rung.Current() == rung.Native {
			t.Skipf("this kernel has no ifb: %v", r) // the VM has
		}
		w.ok(t, "pod", "rm", "probe")
		out := start(t, "out", "--egress-bandwidth", "8M")
		wantLimited(t, "egress", pullTime(t, w.host.agent, out.addr(t, false, "5000")))
		wantUnlimited(t, "ingress beside a limit of egress", pullTime(t, out.agent, far4+":5000"))

		both := start(t, "both", "--annotation", "kubernetes.io/ingress-bandwidth=8M", "--annotation", "kubernetes.io/egress-bandwidth=8M")
		wantLimited(t, "egress by annotation", pullTime(t, w.host.agent, both.addr(t, false, "5000")))
		wantLimited(t, "ingress by annotation", pullTime(t, both.agent, far4+":5000"))
	})
	t.Run("annotation", func(t *testing.T) {
		natively(t)
		in := start(t, "annotated", "--annotation", "kubernetes.io/ingress-bandwidth=8M")
		wantLimited(t, "ingress by annotation", pullTime(t, in.agent, far4+":5000"))
	})
	t.Run("none", func(t *testing.T) {
		natively(t)
		free := start(t, "free")
		wantUnlimited(t, "ingress", pullTime(t, free.agent, far4+":5000"))
		wantUnlimited(t, "egress", pullTime(t, w.host.agent, free.addr(t, false, "5000")))
	})
}
