package rung

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// retries bounds how often a dump that the kernel calls interrupted (the table
// changed under it) is read again.
const retries = 10

// dump reads a netlink table until the kernel calls the answer consistent.
func dump[T any](read func() ([]T, error)) (list []T, err error) {
	for range retries {
		if list, err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
	return nil, err
}

func listLinks(*view) (objects, error) {
	links, err := dump(netlink.LinkList)
	if err != nil {
		return nil, err
	}
	o := objects{}
	for _, l := range links {
		a := l.Attrs()
		// Not the index: a link made again as it was is the same to a test.
		o.add(fmt.Sprintf("%s: %s up=%t mtu %d master %d", a.Name, l.Type(), a.Flags&net.FlagUp != 0, a.MTU, a.MasterIndex))
	}
	return o, nil
}

func listAddresses(*view) (objects, error) {
	addrs, err := dump(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, err
	}
	o := objects{}
	for _, a := range addrs {
		o.add(fmt.Sprintf("%s on %s", a.IPNet, linkName(a.LinkIndex)))
	}
	return o, nil
}
