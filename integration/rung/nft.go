package rung

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// nftTables are the dumps of nf_tables that make up a ruleset: the request, the
// answer's type, and which attributes of the answer hold the table's and the
// object's names (include/uapi/linux/netfilter/nf_tables.h).
var nftTables = [...]struct {
	kind        string
	get, answer uint16
	table, name uint16
}{
	{"table", unix.NFT_MSG_GETTABLE, unix.NFT_MSG_NEWTABLE, unix.NFTA_TABLE_NAME, unix.NFTA_TABLE_NAME},
	{"chain", unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_NEWCHAIN, unix.NFTA_CHAIN_TABLE, unix.NFTA_CHAIN_NAME},
	{"rule", unix.NFT_MSG_GETRULE, unix.NFT_MSG_NEWRULE, unix.NFTA_RULE_TABLE, unix.NFTA_RULE_CHAIN},
	{"set", unix.NFT_MSG_GETSET, unix.NFT_MSG_NEWSET, unix.NFTA_SET_TABLE, unix.NFTA_SET_NAME},
	{"object", unix.NFT_MSG_GETOBJ, unix.NFT_MSG_NEWOBJ, unix.NFTA_OBJ_TABLE, unix.NFTA_OBJ_NAME},
	{"flowtable", unix.NFT_MSG_GETFLOWTABLE, unix.NFT_MSG_NEWFLOWTABLE, nftaFlowtableTable, nftaFlowtableName},
}

const (
	nftaFlowtableTable = 1
	nftaFlowtableName  = 2
	nftaUserdataMask   = ^uint16(unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
)

// listNft dumps the nftables objects of the network namespace as the kernel
// answers, without the nft program.
func listNft(*view) (objects, error) {
	o := objects{}
	for _, t := range nftTables {
		msgs, err := dump(func() ([][]byte, error) {
			req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|int(t.get), unix.NLM_F_DUMP)
			req.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
			return req.Execute(unix.NETLINK_NETFILTER, unix.NFNL_SUBSYS_NFTABLES<<8|t.answer)
		})
		// A kernel without nf_tables has no ruleset.
		if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("dump nftables %ss: %w", t.kind, err)
		}
		for _, m := range msgs {
			attrs, err := nftAttributes(m)
			if err != nil {
				return nil, fmt.Errorf("dump nftables %ss: %w", t.kind, err)
			}
			var names []string
			for _, a := range attrs {
				switch a.Attr.Type & nftaUserdataMask {
				case t.table, t.name:
					names = append(names, string(bytes.TrimRight(a.Value, "\x00")))
				}
			}
			o.add(fmt.Sprintf("%s %s (family %d)", t.kind, strings.Join(names, " "), m[0]))
			if t.answer == unix.NFT_MSG_NEWSET && len(names) == 2 {
				if err := listElements(o, m[0], names[0], names[1]); err != nil {
					return nil, err
				}
			}
		}
		if len(o) == 0 {
			break // everything else is in a table
		}
	}
	return o, nil
}

// listElements adds the elements of a set or map: their keys and what these map
// to, without timeouts and counters.
func listElements(o objects, family uint8, table, set string) error {
	msgs, err := dump(func() ([][]byte, error) {
		req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETSETELEM, unix.NLM_F_DUMP)
		req.AddData(&nl.Nfgenmsg{NfgenFamily: family, Version: nl.NFNETLINK_V0})
		req.AddData(nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_TABLE, nl.ZeroTerminated(table)))
		req.AddData(nl.NewRtAttr(unix.NFTA_SET_ELEM_LIST_SET, nl.ZeroTerminated(set)))
		return req.Execute(unix.NETLINK_NETFILTER, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWSETELEM)
	})
	if errors.Is(err, unix.ENOENT) {
		return nil // the set is gone meanwhile
	}
	if err != nil {
		return fmt.Errorf("dump elements of nftables set %q: %w", set, err)
	}
	for _, m := range msgs {
		attrs, err := nftAttributes(m)
		if err != nil {
			return fmt.Errorf("dump elements of nftables set %q: %w", set, err)
		}
		for _, list := range attrs {
			if list.Attr.Type&nftaUserdataMask != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
				continue
			}
			elements, err := nl.ParseRouteAttr(list.Value)
			if err != nil {
				return fmt.Errorf("elements of nftables set %q: %w", set, err)
			}
			for _, e := range elements {
				parts, err := nl.ParseRouteAttr(e.Value)
				if err != nil {
					return fmt.Errorf("element of nftables set %q: %w", set, err)
				}
				var words []string
				for _, p := range parts {
					switch p.Attr.Type & nftaUserdataMask {
					case unix.NFTA_SET_ELEM_KEY, unix.NFTA_SET_ELEM_DATA, unix.NFTA_SET_ELEM_FLAGS:
						words = append(words, fmt.Sprintf("%x", p.Value))
					}
				}
				o.add(fmt.Sprintf("element %s %s %s (family %d)", table, set, strings.Join(words, " "), family))
			}
		}
	}
	return nil
}

// nftAttributes are those of an answer.
func nftAttributes(m []byte) ([]syscall.NetlinkRouteAttr, error) {
	if len(m) < nl.SizeofNfgenmsg {
		return nil, fmt.Errorf("answer of %d bytes", len(m))
	}
	return nl.ParseRouteAttr(m[nl.SizeofNfgenmsg:])
}
