package netsetup

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// shaperLink returns the name of the link through which what a pod sends is
// led, where that is limited.
func shaperLink(uid string) string { return fmt.Sprintf("pb%012x", hash(uid)>>16) }

// Limits of a limit, in bits per second, as Kubernetes has them.
const (
	minRate = 1e3
	maxRate = 1e15
)

// maxBucket is how long it may take to fill a bucket, in seconds: the kernel
// counts in 64 ns, in 32 bits.
const maxBucket = 250

// check reports whether links of that MTU, 0 for the default one, can have these
// limits.
func (b Bandwidth) check(mtu int) error {
	least := max(minRate, minBurst(mtu)*8/maxBucket+1)
	for _, l := range []struct {
		name string
		rate uint64
	}{{"ingress", b.Ingress}, {"egress", b.Egress}} {
		if l.rate != 0 && (l.rate < least || l.rate > maxRate) {
			return fmt.Errorf("%s bandwidth %d bit/s: want %d to %d", l.name, l.rate, least, uint64(maxRate))
		}
	}
	return nil
}

// minBurst is two frames, in bytes: of less, nothing would ever pass. 18 is a
// header and a VLAN tag.
func minBurst(mtu int) uint64 { return uint64(2 * (cmp.Or(mtu, defaultMTU) + 18)) }

// limit sets the limits of a pod, whose veth is not up yet. What the pod is sent
// leaves the host's end of its veth, and waits there. What it sends arrives
// there, where the kernel can hold nothing: it is led to leave by an ifb.
func (b Bandwidth) limit(c *rtnl, uid string, mtu int) error {
	if b == (Bandwidth{}) {
		return nil
	}
	host, err := linkIndex(c.fd, hostLink(uid))
	if err != nil {
		return err
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open rtnetlink socket: %w", err)
	}
	defer h.Close()
	if b.Ingress != 0 {
		if err := h.QdiscReplace(bucket(host, b.Ingress, mtu)); err != nil {
			return limitError("ingress", b.Ingress, "sch_tbf", err)
		}
	}
	if b.Egress == 0 {
		return nil
	}
	ifb := newLink(shaperLink(uid), unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("ifb"))
	ifb.AddData(info)
	if err := c.do(request{"make ifb " + shaperLink(uid), ifb}); err != nil {
		return limitError("egress", b.Egress, "ifb", err)
	}
	index, err := linkIndex(c.fd, shaperLink(uid))
	if err != nil {
		return err
	}
	alias := newLink(shaperLink(uid), 0)
	alias.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte((&veth{uid: uid}).alias())))
	if err := c.do(request{"name " + shaperLink(uid), alias}, request{"raise " + shaperLink(uid), linkUp(index)}); err != nil {
		return err
	}
	if err := h.QdiscReplace(bucket(index, b.Egress, mtu)); err != nil {
		return limitError("egress", b.Egress, "sch_tbf", err)
	}
	ingress := &netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: host, Parent: netlink.HANDLE_INGRESS, Handle: netlink.MakeHandle(0xffff, 0)}}
	if err := h.QdiscAdd(ingress); err != nil {
		return limitError("egress", b.Egress, "sch_ingress", err)
	}
	all := &netlink.MatchAll{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: host, Parent: netlink.MakeHandle(0xffff, 0), Priority: 1, Protocol: unix.ETH_P_ALL},
		Actions:     []netlink.Action{netlink.NewMirredAction(index)},
	}
	if err := h.FilterAdd(all); err != nil {
		return limitError("egress", b.Egress, "cls_matchall or act_mirred", err)
	}
	return nil
}

// limitError says what the kernel may lack: an unknown kind of link is
// EOPNOTSUPP, of a queueing discipline, filter or action ENOENT.
func limitError(what string, rate uint64, module string, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("limit %s to %d bit/s: the kernel has no %s: %w", what, rate, module, err)
	}
	return fmt.Errorf("limit %s to %d bit/s: %w", what, rate, err)
}

// A bucket holds what comes in 10 ms, and packets wait at most 50 ms.
const (
	burstShare   = 100 // of a second
	latencyShare = 20
)

// bucket is a token bucket filter (tc-tbf(8)) as a link's only discipline.
func bucket(link int, rate uint64, mtu int) *netlink.Tbf {
	bytes := rate / 8
	burst := max(bytes/burstShare, minBurst(mtu))
	return &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       bytes,
		Limit:      uint32(min(bytes/latencyShare+burst, math.MaxUint32)),
		Buffer:     netlink.Xmittime(bytes, uint32(min(burst, math.MaxUint32))),
	}
}
