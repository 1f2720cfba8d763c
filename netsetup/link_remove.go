package netsetup

import (
	"errors"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// groupMark is what tells a group of links that are to be deleted from those that
// somebody has thought of. With the index of a link it is that link's own.
const groupMark = 0xb0d70000

// lower takes links down and returns what deletes them: the kernel answers when
// they are gone. A bridge that is down passes nothing on. It comes first, for
// taking down the next one waits for packets that are on their way. Links that are
// gone are no error.
//
// For each request that deletes links the kernel waits until nobody looks at them
// any more, some 15 ms, and for a bridge twice. Requests that are made side by side
// wait one after the other (rcu_barrier, Linux). So all are deleted by one, as a
// group (Linux 4.1).
func (c *rtnl) lower(links ...netlink.Link) (remove func() error, err error) {
	if len(links) == 0 {
		return func() error { return nil }, nil
	}
	group := groupMark ^ uint32(links[0].Attrs().Index)
	for _, link := range links {
		r := nl.NewNetlinkRequest(unix.RTM_SETLINK, 0)
		msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
		msg.Index, msg.Change = int32(link.Attrs().Index), unix.IFF_UP
		r.AddData(msg)
		r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
		if err := ifExists(c.do(request{"take down link " + link.Attrs().Name, r})); err != nil {
			return nil, err
		}
	}
	r := nl.NewNetlinkRequest(unix.RTM_DELLINK, 0)
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group)))
	return func() error { return ifExists(c.do(request{"delete link " + links[0].Attrs().Name, r})) }, nil
}

// remove deletes links. The kernel answers when they are gone.
func (c *rtnl) remove(links ...netlink.Link) error {
	if len(links) == 1 {
		r := nl.NewNetlinkRequest(unix.RTM_DELLINK, 0)
		msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
		msg.Index = int32(links[0].Attrs().Index)
		r.AddData(msg)
		return ifExists(c.do(request{"delete link " + links[0].Attrs().Name, r}))
	}
	remove, err := c.lower(links...)
	if err != nil {
		return err
	}
	return remove()
}

// ifExists returns err, unless it is that of a link that is gone: with its network
// namespace, or by somebody else.
func ifExists(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// podLinks returns what a pod has of links on the host; with the host's end of a
// veth goes the pod's.
func (c *rtnl) podLinks(uid string) ([]netlink.Link, error) {
	var links []netlink.Link
	for _, name := range []string{hostLink(uid), shaperLink(uid)} {
		link, err := c.link(name)
		switch {
		case errors.Is(err, errNoLink):
		case err != nil:
			return nil, err
		case isPods(link, uid):
			links = append(links, link)
		}
	}
	return links, nil
}

// removeLinks deletes what a pod has of links on the host.
func (s *Networks) removeLinks(uid string) error {
	return s.withRtnl(func(c *rtnl) error {
		links, err := c.podLinks(uid)
		if err != nil {
			return err
		}
		return c.remove(links...)
	})
}
