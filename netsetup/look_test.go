package netsetup

import (
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// TestLookRestless looks into a namespace whose addresses change all the time: a
// container with CAP_NET_ADMIN is not to keep the host from looking.
func TestLookRestless(t *testing.T) {
	rung.Privileged(t)
	if rung.Current() == rung.VM {
		t.Skip("natively: a dump takes its time here")
	}
	ns := newNetns(t)
	address := func(third, fourth byte) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, third, fourth}), 32)
	}
	ns.in(t, func() error {
		c, err := openRtnl()
		if err != nil {
			return err
		}
		defer c.close()
		// A dump of many takes several messages, between which it can change.
		for third := range byte(16) {
			var requests []request
			for fourth := range byte(128) {
				requests = append(requests, request{"add address", newAddr(1, address(third, fourth))})
			}
			if err := c.do(requests...); err != nil {
				return err
			}
		}
		return nil
	})
	stop := make(chan struct{})
	var restless sync.WaitGroup
	for k := range byte(2) {
		restless.Go(func() {
			err := visit(ns.File, func() error {
				c, err := openRtnl()
				if err != nil {
					return err
				}
				defer c.close()
				for {
					select {
					case <-stop:
						return nil
					default:
					}
					add := newAddr(1, address(200, k))
					del := newAddr(1, address(200, k))
					del.Type, del.Flags = unix.RTM_DELADDR, 0
					if err := c.do(request{"add address", add}, request{"remove address", del}); err != nil {
						return err
					}
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for range 8 {
		in, err := Look(ns.path)
		if err != nil {
			t.Error(err)
			break
		}
		if len(in.Links) != 1 || len(in.Links[0].Addresses) < 1000 {
			t.Errorf("Look = %d links; want lo with its addresses", len(in.Links))
		}
	}
	close(stop)
	restless.Wait()
}
