package netsetup

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestBandwidth has data take at least the time that a limit leaves for it, in
// the direction that is limited; what is not limited has no discipline.
func TestBandwidth(t *testing.T) {
	rung.Privileged(t)
	const size = 1 << 20 // bytes
	for _, test := range []struct {
		name string
		Bandwidth
	}{
		{"none", Bandwidth{}},
		{"ingress", Bandwidth{Ingress: 8 << 20}},
		{"egress", Bandwidth{Egress: 8 << 20}},
		{"both", Bandwidth{Ingress: 16 << 20, Egress: 8 << 20}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := testNetworks(t, "a")
			n, err := s.Default()
			if err != nil {
				t.Fatal(err)
			}
			ns := newNetns(t)
			t.Cleanup(func() { detach(t, s, "a") })
			i, err := s.Attach(t.Context(), &Attach{UID: "a", Network: n, Netns: ns.path, Bandwidth: test.Bandwidth})
			if err != nil && rung.Current() == rung.Native && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT)) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			to := netip.AddrPortFrom(i.Addresses[0].Addr(), 80)
			stop := ns.echo(t, to)
			took := roundTrip(t, to, size)
			stop()
			if test.Bandwidth == (Bandwidth{}) {
				if q := shapers(t, i.HostLink); q != 0 {
					t.Errorf("%d disciplines limit a pod without limits", q)
				}
				return
			}
			// What the bucket holds at first passes at once; it refills once.
			rate := min(max(test.Ingress, test.Egress), 8<<20)
			least := time.Duration(float64(size) * 8 / float64(rate) * 0.9 * float64(time.Second))
			if took < least {
				t.Errorf("%d bytes took %v; want at least %v", size, took, least)
			}
			t.Logf("%d bytes took %v", size, took)
			if q := shapers(t, i.HostLink); (q == 1) != (test.Ingress != 0) {
				t.Errorf("%d disciplines limit ingress", q)
			}
			if _, err := netlink.LinkByName(shaperLink("a")); (err == nil) != (test.Egress != 0) {
				t.Errorf("ifb: %v", err)
			}
		})
	}
}

// shapers counts the token buckets of a link.
func shapers(t *testing.T, name string) (n int) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := netlink.QdiscList(link)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range list {
		if q.Type() == "tbf" {
			n++
		}
	}
	return n
}

// roundTrip sends data to an echo, and returns how long it took to come back.
func roundTrip(t *testing.T, to netip.AddrPort, size int) time.Duration {
	t.Helper()
	conn, err := net.DialTimeout("tcp", to.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, size))
		sent <- errors.Join(err, conn.(*net.TCPConn).CloseWrite())
	}()
	b, err := io.ReadAll(conn)
	if err := errors.Join(err, <-sent); err != nil {
		t.Fatal(err)
	}
	if got := len(b) - bytes.IndexByte(b, '\n') - 1; got != size {
		t.Fatalf("%d bytes came back; want %d", got, size)
	}
	return time.Since(start)
}

func TestBucket(t *testing.T) {
	for _, test := range []struct {
		rate  uint64
		mtu   int
		burst uint64 // bytes, at least
	}{
		{1000, 0, 2 * 1518},
		{8 << 20, 65535, 2 * 65553},
		{4196, 65535, 2 * 65553},
		{10e9, 1500, 10e9 / 8 / 100},
		{maxRate, 0, 4e9},
	} {
		b := bucket(1, test.rate, test.mtu)
		if b.Rate != test.rate/8 || uint64(b.Limit) < test.burst || b.Buffer == 0 {
			t.Errorf("bucket(%d, %d) = %+v; want a limit of %d at least", test.rate, test.mtu, b, test.burst)
		}
		// As the kernel takes it: ticks to bytes, rounded.
		if got := netlink.Xmitsize(b.Rate, b.Buffer); uint64(float64(got)*1.01) < test.burst-1 {
			t.Errorf("bucket(%d, %d) holds %d bytes; want %d", test.rate, test.mtu, got, test.burst)
		}
	}
}
