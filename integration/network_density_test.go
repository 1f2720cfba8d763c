package integration

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// Of the pods on one bridge: how many there are, and how many are made at once.
const (
	dense   = 200
	atATime = 20
)

// TestNetworkDensity: many pods on one bridge have addresses of their own, can
// all be reached, and leave nothing.
func TestNetworkDensity(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	total := dense
	if rung.Current() == rung.VM {
		total = 40
	}
	name := func(i int) string { return fmt.Sprintf("p%03d", i) }
	start := time.Now()
	phase := func(what string) {
		t.Logf("%d pods %s in %v", total, what, time.Since(start).Round(time.Millisecond))
		start = time.Now()
	}
	inTurns(total, func(i int) {
		if r := w.podrt(t, "pod", "create", "--network", "bridge", "-p", fmt.Sprintf("%d:80", 20000+i), name(i)); r.code != 0 {
			t.Errorf("exit code %d; want 0: %v", r.code, r)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	phase("made")
	owner := make(map[netip.Addr]string)
	for _, p := range w.inspectNetwork(t, "bridge").Pods {
		if len(p.Addresses) != 2 {
			t.Errorf("pod %q: addresses %v; want two", p.Name, p.Addresses)
		}
		for _, a := range p.Addresses {
			if other := owner[a]; other != "" {
				t.Errorf("address %s is of the pods %q and %q", a, other, p.Name)
			}
			owner[a] = p.Name
		}
	}
	if len(owner) != 2*total {
		t.Errorf("%d addresses; want %d", len(owner), 2*total)
	}
	// Nobody listens: that it is refused is the pod's own answer.
	first := w.pod(t, "first", "--network", "bridge")
	for a := range owner {
		wantRefusal(t, netip.AddrPortFrom(a, 1).String())
		first.refused(t, "ECONNREFUSED", "dial", netip.AddrPortFrom(a, 1).String())
	}
	for i := range total {
		wantRefusal(t, fmt.Sprintf("127.0.0.1:%d", 20000+i))
	}
	phase("reached")
	inTurns(total, func(i int) {
		if r := w.podrt(t, "pod", "rm", name(i)); r.code != 0 {
			t.Errorf("exit code %d; want 0: %v", r.code, r)
		}
	})
	phase("removed")
	if got := w.inspectNetwork(t, "bridge").pods(); len(got) != 1 {
		t.Errorf("pods %q are left", got)
	}
}

// wantRefusal connects to where a pod's kernel refuses.
func wantRefusal(t *testing.T, addr string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err == nil {
		_ = c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("%s: %v; want it to be refused", addr, err)
	}
}

// inTurns does it for each number, several at a time.
func inTurns(n int, do func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range atATime {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	wg.Wait()
}

// TestNetworkChurn: processes that make and remove pods and networks at random
// never see one address or port twice.
func TestNetworkChurn(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	rounds := 6
	if rung.Current() == rung.VM {
		rounds = 1
	}
	var mu sync.Mutex
	holder := make(map[string]string)
	hold := func(what, pod string) {
		mu.Lock()
		defer mu.Unlock()
		if other := holder[what]; other != "" {
			t.Errorf("%s is of the pods %q and %q", what, other, pod)
		}
		holder[what] = pod
	}
	release := func(pod string) {
		mu.Lock()
		defer mu.Unlock()
		for what, p := range holder {
			if p == pod {
				delete(holder, what)
			}
		}
	}
	w.ok(t, "network", "create", "shared")
	var wg sync.WaitGroup
	for i := range atATime {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 4))
			name, own := fmt.Sprintf("p%02d", i), fmt.Sprintf("n%02d", i)
			for range rounds {
				network := []string{"bridge", "shared", own}[random.IntN(3)]
				if network == own {
					w.succeeds(t, "network", "create", own)
				}
				args := []string{"pod", "create", "--network", network}
				if random.IntN(2) == 0 {
					args = append(args, "-p", "80")
				}
				if !w.succeeds(t, append(args, name)...) {
					return
				}
				info, ok := w.tryNetwork(t, name)
				if !ok {
					return
				}
				for _, a := range info.Interface.Addresses {
					hold(network+" "+a.String(), name)
				}
				for _, p := range info.Interface.Ports {
					hold(fmt.Sprint("port ", p.HostPort), name)
				}
				release(name) // before it is: nobody may have it any more then
				w.succeeds(t, "pod", "rm", name)
				if network == own {
					w.succeeds(t, "network", "rm", own)
				}
			}
		})
	}
	wg.Wait()
	if left := strings.Fields(w.ok(t, "pod", "ls", "-q").stdout); len(left) > 0 {
		t.Errorf("pods %q are left", left)
	}
}

// succeeds is ok for a goroutine that is not the test's.
func (w *netWorld) succeeds(t *testing.T, args ...string) bool {
	t.Helper()
	r := w.podrt(t, args...)
	if r.code != 0 {
		t.Errorf("exit code %d; want 0: %v", r.code, r)
	}
	return r.code == 0
}
