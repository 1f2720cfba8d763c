package netsetup

import (
	"encoding/binary"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// addSkeleton puts the whole table, without elements, into the batch. It replaces
// one that is there, or the batch fails with EEXIST. To replace even what is not there
// has the connection's end wait, some 10 ms, until that is destroyed.
func addSkeleton(conn *nftables.Conn, replace bool) error {
	t := rulesTable()
	if replace {
		conn.AddTable(t)
		conn.DelTable(t)
	}
	conn.CreateTable(t)
	sets := ruleSets()
	for _, name := range setNames {
		if err := conn.AddSet(sets[name], nil); err != nil {
			return err
		}
	}
	for _, c := range ruleChains() {
		c.chain.Table = t
		conn.AddChain(&c.chain)
	}
	for _, c := range ruleChains() {
		c.chain.Table = t
		for _, rule := range c.rules {
			conn.AddRule(&nftables.Rule{Table: t, Chain: &c.chain, Exprs: rule})
		}
	}
	return nil
}

// setNames is the order in which nft(8) shows the sets.
var setNames = [...]string{
	"bridges", "internal", "isolated", "same", "subnets4", "subnets6", "ports4", "ports6", "hostips4", "hostips6",
}

// portSets are those with an element for each published port.
var portSets = setNames[6:]

type rule = []expr.Any

type ruleChain struct {
	chain nftables.Chain
	rules []rule
}

// ruleChains returns the chains and their rules. Base chains accept what no rule
// of them drops: other tables decide too.
func ruleChains() []ruleChain {
	base := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority, rules ...rule) ruleChain {
		accept := nftables.ChainPolicyAccept
		return ruleChain{nftables.Chain{Name: name, Type: kind, Hooknum: hook, Priority: priority, Policy: &accept}, rules}
	}
	const nat, filter = nftables.ChainTypeNAT, nftables.ChainTypeFilter
	return []ruleChain{
		// The bridges have route_localnet, so that the host's 127.0.0.1 reaches
		// pods; no pod is to reach, or to pass for, the host's (CVE-2020-8558).
		base("protect", filter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw,
			join(meta(expr.MetaKeyIIFNAME), in("bridges"), loopback(offsetDestination), verdict(expr.VerdictDrop)),
			join(meta(expr.MetaKeyIIFNAME), in("bridges"), loopback(offsetSource), verdict(expr.VerdictDrop)),
		),
		// What is sent to 127.0.0.1 over a wire would pass for sent to a port that
		// is published there.
		base("prerouting", nat, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest,
			join(loopback(offsetDestination), verdict(expr.VerdictAccept)),
			join(toThisHost(), jump("publish")),
		),
		base("output", nat, nftables.ChainHookOutput, nftables.ChainPriorityNATDest,
			join(toThisHost(), jump("publish")),
		),
		{nftables.Chain{Name: "publish"}, []rule{
			// See [Port.check] for why these cannot be forwarded.
			join(to6([]byte{15: 1}, 128), verdict(expr.VerdictAccept)),
			join(to6([]byte{0: 0xfe, 1: 0x80, 15: 0}, 10), verdict(expr.VerdictAccept)),
			join(family(unix.NFPROTO_IPV4), daddr4(0), transportKey(1), dnat("hostips4", unix.NFPROTO_IPV4)),
			join(family(unix.NFPROTO_IPV6), daddr6(0), transportKey(4), dnat("hostips6", unix.NFPROTO_IPV6)),
			join(family(unix.NFPROTO_IPV4), transportKey(0), dnat("ports4", unix.NFPROTO_IPV4)),
			join(family(unix.NFPROTO_IPV6), transportKey(0), dnat("ports6", unix.NFPROTO_IPV6)),
		}},
		base("forward", filter, nftables.ChainHookForward, nftables.ChainPriorityFilter,
			join(meta(expr.MetaKeyIIFNAME), in("bridges"), verdictTo(expr.VerdictGoto, "pods")),
			join(meta(expr.MetaKeyOIFNAME), in("bridges"), verdictTo(expr.VerdictGoto, "pods")),
		),
		{nftables.Chain{Name: "pods"}, []rule{
			join(metaAt(expr.MetaKeyIIFNAME, 0), metaAt(expr.MetaKeyOIFNAME, 4), in("same"), verdict(expr.VerdictAccept)),
			join(meta(expr.MetaKeyIIFNAME), in("internal"), verdict(expr.VerdictDrop)),
			join(meta(expr.MetaKeyOIFNAME), in("internal"), verdict(expr.VerdictDrop)),
			join(ct(expr.CtKeySTATE, ctEstablished|ctRelated), verdict(expr.VerdictAccept)),
			// Its addresses would not be translated.
			join(ct(expr.CtKeySTATE, ctInvalid), verdict(expr.VerdictDrop)),
			// Published ports are for other networks too.
			join(ct(expr.CtKeySTATUS, ctDNAT), verdict(expr.VerdictAccept)),
			join(meta(expr.MetaKeyOIFNAME), in("isolated"), verdict(expr.VerdictDrop)),
			join(meta(expr.MetaKeyIIFNAME), in("isolated"), meta(expr.MetaKeyOIFNAME), in("bridges"), verdict(expr.VerdictDrop)),
		}},
		base("postrouting", nat, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
			// The host by 127.0.0.1, a pod by the host's address to itself and to
			// its neighbours: their answers have to come back here. By source
			// address, for with br_netfilter there is no input link here.
			join(meta(expr.MetaKeyOIFNAME), in("bridges"), loopback(offsetSource), masquerade()),
			join(ct(expr.CtKeySTATUS, ctDNAT), family(unix.NFPROTO_IPV4), saddr4(0), metaAt(expr.MetaKeyOIFNAME, 1), in("subnets4"), masquerade()),
			join(ct(expr.CtKeySTATUS, ctDNAT), family(unix.NFPROTO_IPV6), saddr6(0), metaAt(expr.MetaKeyOIFNAME, 4), in("subnets6"), masquerade()),
			// Out. The input link is known here since Linux 5.7.
			join(meta(expr.MetaKeyIIFNAME), in("bridges"), meta(expr.MetaKeyOIFNAME), notIn("bridges"), masquerade()),
		),
	}
}

// Bits of conntrack's state and status (linux/netfilter/nf_conntrack_common.h;
// NF_CT_STATE_BIT for the state).
const (
	ctInvalid     = 1 << 0
	ctEstablished = 1 << 1
	ctRelated     = 1 << 2
	ctDNAT        = 1 << 5
)

// Offsets of the addresses in an IPv4 header.
const (
	offsetSource      = 12
	offsetDestination = 16
)

// Registers are of four bytes, so that fields of a key lie side by side.
func register(n uint32) uint32 { return unix.NFT_REG32_00 + n }

func join(parts ...rule) rule {
	var all rule
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func meta(key expr.MetaKey) rule { return metaAt(key, 0) }

func metaAt(key expr.MetaKey, reg uint32) rule {
	return rule{&expr.Meta{Key: key, Register: register(reg)}}
}

func in(set string) rule {
	return rule{&expr.Lookup{SourceRegister: register(0), SetName: set}}
}

func notIn(set string) rule {
	return rule{&expr.Lookup{SourceRegister: register(0), SetName: set, Invert: true}}
}

func header(base expr.PayloadBase, offset, length, reg uint32) rule {
	return rule{&expr.Payload{Base: base, Offset: offset, Len: length, DestRegister: register(reg)}}
}

func saddr4(reg uint32) rule { return header(expr.PayloadBaseNetworkHeader, 12, 4, reg) }
func daddr4(reg uint32) rule { return header(expr.PayloadBaseNetworkHeader, 16, 4, reg) }
func saddr6(reg uint32) rule { return header(expr.PayloadBaseNetworkHeader, 8, 16, reg) }
func daddr6(reg uint32) rule { return header(expr.PayloadBaseNetworkHeader, 24, 16, reg) }

// transportKey loads the protocol and destination port. Other protocols have
// something else where the port is, and no element.
func transportKey(reg uint32) rule {
	return join(metaAt(expr.MetaKeyL4PROTO, reg), header(expr.PayloadBaseTransportHeader, 2, 2, reg+1))
}

func equal(data []byte) rule {
	return rule{&expr.Cmp{Op: expr.CmpOpEq, Register: register(0), Data: data}}
}

func family(nfproto byte) rule { return join(meta(expr.MetaKeyNFPROTO), equal([]byte{nfproto})) }

// loopback matches IPv4 packets with an address of 127.0.0.0/8 at the offset.
func loopback(offset uint32) rule {
	return join(family(unix.NFPROTO_IPV4), header(expr.PayloadBaseNetworkHeader, offset, 1, 0), equal([]byte{127}))
}

// to6 matches IPv6 packets to the prefix.
func to6(prefix []byte, bits int) rule {
	mask := make([]byte, 16)
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return join(family(unix.NFPROTO_IPV6), daddr6(0), masked(mask), equal(prefix))
}

func masked(mask []byte) rule {
	return rule{&expr.Bitwise{
		SourceRegister: register(0), DestRegister: register(0), Len: uint32(len(mask)),
		Mask: mask, Xor: make([]byte, len(mask)),
	}}
}

// toThisHost matches packets to an address of the host, as no broadcast is.
func toThisHost() rule {
	return join(
		rule{&expr.Fib{Register: register(0), FlagDADDR: true, ResultADDRTYPE: true}},
		equal(native(unix.RTN_LOCAL)),
	)
}

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// ct matches packets of connections that have any of the bits.
func ct(key expr.CtKey, bits uint32) rule {
	return join(
		rule{&expr.Ct{Key: key, Register: register(0)}},
		masked(native(bits)),
		rule{&expr.Cmp{Op: expr.CmpOpNeq, Register: register(0), Data: native(0)}},
	)
}

// dnat sends packets to where the map says, if it has the key.
func dnat(set string, nfproto uint32) rule {
	port := register(1)
	if nfproto == unix.NFPROTO_IPV6 {
		port = register(4)
	}
	return rule{
		&expr.Lookup{SourceRegister: register(0), SetName: set, DestRegister: register(0), IsDestRegSet: true},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: nfproto, RegAddrMin: register(0), RegProtoMin: port},
	}
}

func masquerade() rule { return rule{&expr.Masq{}} }

func verdict(kind expr.VerdictKind) rule { return verdictTo(kind, "") }

func verdictTo(kind expr.VerdictKind, chain string) rule {
	return rule{&expr.Verdict{Kind: kind, Chain: chain}}
}

func jump(chain string) rule { return verdictTo(expr.VerdictJump, chain) }
