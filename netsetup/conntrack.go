package netsetup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Connections keep the translation of their first packet, and while packets come
// they are kept: a client that has sent datagrams to a port before it is
// published would not reach the pod, and one of a pod that is gone would reach
// whoever has the address next. To forget some of them the kernel's whole table
// has to be walked, 10 ms on a host that has nothing to do; its own filters (Linux
// 5.8) walk it once for each family and direction, and take IPv6 addresses the
// wrong way round. So all that is looked for is looked for in one dump, and only
// where it matters: when datagrams get, or lose, a published port, when addresses
// begin to be used once more, and when rules come back that were away.

// flushAddresses forgets the connections from and to addresses that match, which
// are pods'.
func flushAddresses(match func(netip.Addr) bool) error {
	// Whatever was sent to a pod, it is the source of answers, whoever was
	// addressed.
	return forget(func(c connection) bool { return match(c.orig.source) || match(c.reply.source) })
}

// flushPorts forgets the datagrams to the host ports.
func flushPorts(ports []Port) error {
	if !slices.ContainsFunc(ports, Port.datagrams) {
		return nil
	}
	return forget(func(c connection) bool {
		return slices.ContainsFunc(ports, func(p Port) bool {
			return p.datagrams() && c.orig.protocol == protocolNumber(p.Protocol) && c.orig.port == p.HostPort
		})
	})
}

// flushUntranslated forgets the datagrams of pods' subnets, and to published ports,
// that began while the rules were away: their addresses would never be translated.
func flushUntranslated(networks []*Network, ports []Port) error {
	inside := func(a netip.Addr) bool {
		return slices.ContainsFunc(networks, func(n *Network) bool {
			return slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.Subnet.Contains(a) })
		})
	}
	return forget(func(c connection) bool {
		if c.orig.protocol != unix.IPPROTO_UDP {
			return false
		}
		out := inside(c.orig.source) && !inside(c.orig.dest) && c.reply.dest == c.orig.source
		in := c.reply.source == c.orig.dest && slices.ContainsFunc(ports, func(p Port) bool {
			return p.datagrams() && p.HostPort == c.orig.port
		})
		return out || in
	})
}

// datagrams reports whether the port's protocol has no end of a connection by
// which the kernel forgets it.
func (p Port) datagrams() bool { return p.Protocol == UDP }

// connection is an entry of conntrack's table: what was sent, and what is
// answered.
type connection struct{ orig, reply tuple }

type tuple struct {
	source   netip.Addr
	dest     netip.Addr
	protocol byte
	port     uint16 // of dest; 0 of a protocol without
}

// forget deletes the connections that match.
func forget(match func(connection) bool) error {
	msgs, err := connections(match)
	if err != nil {
		return err
	}
	var errs error
	for _, m := range msgs {
		req := connRequest(nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK, m[0])
		req.AddRawData(m[nl.SizeofNfgenmsg:])
		if _, err := req.Execute(unix.NETLINK_NETFILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = errors.Join(errs, fmt.Errorf("delete a connection of conntrack's table: %w", err))
		}
	}
	return errs
}

// connections returns those of conntrack's table that match, as it tells of them.
func connections(match func(connection) bool) ([][]byte, error) {
	// Without conntrack there is no file.
	count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil || strings.TrimSpace(string(count)) == "0" {
		return nil, nil
	}
	msgs, err := connRequest(nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP, unix.AF_UNSPEC).Execute(unix.NETLINK_NETFILTER, 0)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		err = nil // new connections: not the ones that are looked for
	}
	if err != nil {
		return nil, fmt.Errorf("read conntrack's table: %w", err)
	}
	return slices.DeleteFunc(msgs, func(m []byte) bool {
		return len(m) < nl.SizeofNfgenmsg || !match(parseConnection(m))
	}), nil
}

func connRequest(operation, flags int, family byte) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|operation, flags)
	req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
	return req
}

func parseConnection(msg []byte) connection {
	attrs := msg[nl.SizeofNfgenmsg:]
	return connection{parseTuple(nested(attrs, nl.CTA_TUPLE_ORIG)), parseTuple(nested(attrs, nl.CTA_TUPLE_REPLY))}
}

func parseTuple(b []byte) (t tuple) {
	ip := nested(b, nl.CTA_TUPLE_IP)
	source, dest := nested(ip, nl.CTA_IP_V4_SRC), nested(ip, nl.CTA_IP_V4_DST)
	if source == nil {
		source, dest = nested(ip, nl.CTA_IP_V6_SRC), nested(ip, nl.CTA_IP_V6_DST)
	}
	t.source, _ = netip.AddrFromSlice(source)
	t.dest, _ = netip.AddrFromSlice(dest)
	proto := nested(b, nl.CTA_TUPLE_PROTO)
	if number := nested(proto, nl.CTA_PROTO_NUM); len(number) == 1 {
		t.protocol = number[0]
	}
	if port := nested(proto, nl.CTA_PROTO_DST_PORT); len(port) == 2 {
		t.port = binary.BigEndian.Uint16(port)
	}
	return t
}

// nested returns the value of the attribute in b; nil if there is none.
func nested(b []byte, kind uint16) []byte {
	attrs, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil
	}
	for _, a := range attrs {
		if a.Attr.Type&^uint16(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == kind {
			return a.Value
		}
	}
	return nil
}
