package netsetup

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestAttachMany attaches pods side by side, each of which the host reaches, with
// networks coming and going beside them.
func TestAttachMany(t *testing.T) {
	rung.Privileged(t)
	const atOnce = 20
	pods := 60
	if rung.Current() == rung.VM {
		pods = 30
	}
	var uids []string
	for i := range pods {
		uids = append(uids, fmt.Sprintf("pod-%d", i))
	}
	s, _ := testNetworks(t, append(uids, "other")...)
	n, err := s.Default()
	if err != nil {
		t.Fatal(err)
	}
	// Each has a struct Networks, and so a lock, of its own, as processes have.
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	got := make([]*Interface, pods)
	for i, uid := range uids {
		ns := newNetns(t)
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			own := *s
			var err error
			if got[i], err = own.Attach(t.Context(), &Attach{UID: uid, Network: n, Netns: ns.path}); err != nil {
				t.Error(err)
				return
			}
			ns.echo(t, netip.AddrPortFrom(got[i].Addresses[0].Addr(), 80))
		})
	}
	spare := newNetns(t)
	wg.Go(func() {
		for range 10 {
			o, err := s.Create(NetworkOptions{Name: "o"})
			if err != nil {
				t.Error(err)
				return
			}
			_, err = s.Attach(t.Context(), &Attach{UID: "other", Network: o, Netns: spare.path})
			if err = errors.Join(err, s.Detach("other"), s.Remove("o")); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	seen := map[netip.Prefix]bool{}
	for _, i := range got {
		if i == nil {
			continue
		}
		for _, p := range i.Addresses {
			if seen[p] {
				t.Errorf("two pods have %s", p)
			}
			seen[p] = true
		}
		reach(t, nil, netip.AddrPortFrom(i.Addresses[0].Addr(), 80), n.Subnets[0].Gateway)
	}
	for _, uid := range uids {
		wg.Go(func() {
			own := *s
			if err := own.Detach(uid); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	noLink(t, n.Bridge)
}
