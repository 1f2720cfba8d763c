package netsetup

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// rtnl is a socket for rtnetlink(7). It acts in the network namespace that the
// thread was in when it was opened, from any thread.
type rtnl struct {
	fd  int
	seq uint32
	buf []byte
	// heard is called with messages that answer no request.
	heard func(h *unix.NlMsghdr, data []byte)
}

// request is one message, and what is said of it when it fails.
type request struct {
	what string
	*nl.NetlinkRequest
}

// openRtnl opens a socket in the network namespace of the calling thread.
func openRtnl() (*rtnl, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink socket: %w", err)
	}
	// Reasons in words (Linux 4.12), and answers without what was asked (4.3);
	// both can be missed.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &rtnl{fd: fd}, nil
}

func (c *rtnl) close() { unix.Close(c.fd) }

// do sends all requests in one message to the kernel, which carries them out in
// order before the call that sends returns. One that fails does not stop those
// after it: what must not happen then belongs in another do. The error is the
// first one's.
func (c *rtnl) do(requests ...request) error {
	var out []byte
	first := c.seq + 1
	for _, r := range requests {
		c.seq++
		r.Seq = c.seq
		r.Flags |= unix.NLM_F_REQUEST | unix.NLM_F_ACK
		out = append(out, r.Serialize()...)
		for len(out)%unix.NLMSG_ALIGNTO != 0 {
			out = append(out, 0)
		}
	}
	if err := c.send(out); err != nil {
		return fmt.Errorf("%s: %w", requests[0].what, err)
	}
	errs := make([]error, len(requests))
	for acks := 0; acks < len(requests); {
		err := c.receive(func(h *unix.NlMsghdr, data []byte) {
			if i := h.Seq - first; h.Type == unix.NLMSG_ERROR && i < uint32(len(requests)) {
				acks++
				errs[i] = ackError(h, data)
			} else if c.heard != nil {
				c.heard(h, data)
			}
		})
		if err != nil {
			return fmt.Errorf("%s: %w", requests[0].what, err)
		}
	}
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", requests[i].what, err)
		}
	}
	return nil
}

// errNoLink is that of link for a name that no link has.
var errNoLink = errors.New("no such link")

// link returns the link of that name. Asking for a link also has the kernel act
// on a carrier that has just come or gone (since Linux 6.8).
func (c *rtnl) link(name string) (netlink.Link, error) {
	r := request{"get link " + name, nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_ACK)}
	r.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	r.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	c.seq++
	r.Seq = c.seq
	if err := c.send(r.Serialize()); err != nil {
		return nil, fmt.Errorf("%s: %w", r.what, err)
	}
	var link netlink.Link
	var linkErr error
	for done := false; !done; {
		err := c.receive(func(h *unix.NlMsghdr, data []byte) {
			switch {
			case h.Seq != c.seq:
			case h.Type == unix.NLMSG_ERROR:
				done = true
				if err := ackError(h, data); err != nil {
					linkErr = err
				}
			case h.Type == unix.RTM_NEWLINK:
				link, linkErr = netlink.LinkDeserialize(nil, data)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.what, err)
		}
	}
	switch {
	case errors.Is(linkErr, unix.ENODEV):
		return nil, errNoLink
	case linkErr != nil:
		return nil, fmt.Errorf("%s: %w", r.what, linkErr)
	}
	return link, nil
}

// lateness is how long an address may be late before nobody waits for it.
const lateness = 2 * time.Second

// awaitIPv6 has the socket listen for addresses, and returns what waits for
// these: a worker of the kernel says that one is there when it has made the link
// hear those who ask for it. It is no error if it does not.
func (c *rtnl) awaitIPv6(addrs []netip.Prefix) (wait func() error, err error) {
	late := map[netip.Addr]bool{}
	for _, p := range addrs {
		if p.Addr().Is6() {
			late[p.Addr()] = true
		}
	}
	if len(late) == 0 {
		return func() error { return nil }, nil
	}
	err = unix.SetsockoptInt(c.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("listen for addresses: %w", err)
	}
	c.heard = func(h *unix.NlMsghdr, data []byte) {
		if h.Type != unix.RTM_NEWADDR || len(data) < unix.SizeofIfAddrmsg {
			return
		}
		attrs, err := nl.ParseRouteAttr(data[unix.SizeofIfAddrmsg:])
		for _, a := range attrs {
			if addr, ok := netip.AddrFromSlice(a.Value); err == nil && ok && a.Attr.Type == unix.IFA_ADDRESS {
				delete(late, addr)
			}
		}
	}
	return func() error {
		limit := unix.NsecToTimeval(lateness.Nanoseconds())
		if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
			return fmt.Errorf("listen for addresses: %w", err)
		}
		for start := time.Now(); len(late) > 0 && time.Since(start) < lateness; {
			if err := c.receive(c.heard); errors.Is(err, unix.EAGAIN) {
				break
			} else if err != nil {
				return fmt.Errorf("listen for addresses: %w", err)
			}
		}
		return nil
	}, nil
}

func (c *rtnl) send(b []byte) error {
	for {
		err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receive reads one datagram and calls f with each message in it.
func (c *rtnl) receive(f func(h *unix.NlMsghdr, data []byte)) error {
	if c.buf == nil {
		// As long as the kernel makes them (NLMSG_GOODSIZE, and more for a link
		// with many attributes).
		c.buf = make([]byte, 32<<10)
	}
	n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
	for errors.Is(err, unix.EINTR) {
		n, _, err = unix.Recvfrom(c.fd, c.buf, 0)
	}
	if err != nil {
		return err
	}
	for b := c.buf[:n]; len(b) >= unix.SizeofNlMsghdr; {
		h := (*unix.NlMsghdr)(unsafe.Pointer(&b[0]))
		if h.Len < unix.SizeofNlMsghdr || int(h.Len) > len(b) {
			return fmt.Errorf("rtnetlink message of %d bytes in %d", h.Len, len(b))
		}
		f(h, b[unix.SizeofNlMsghdr:h.Len])
		b = b[min(len(b), int(h.Len+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}
	return nil
}

// ackError returns the error of a message of type NLMSG_ERROR (netlink(7)), nil
// if it is none.
func ackError(h *unix.NlMsghdr, data []byte) error {
	if len(data) < 4 {
		return errors.New("short rtnetlink answer")
	}
	errno := unix.Errno(-*(*int32)(unsafe.Pointer(&data[0])))
	if errno == 0 {
		return nil
	}
	if h.Flags&unix.NLM_F_ACK_TLVS != 0 && len(data) > 4+unix.SizeofNlMsghdr {
		attrs, err := nl.ParseRouteAttr(data[4+unix.SizeofNlMsghdr:])
		for _, a := range attrs {
			if err == nil && a.Attr.Type == nl.NLMSGERR_ATTR_MSG {
				return fmt.Errorf("%w (%s)", errno, unix.ByteSliceToString(a.Value))
			}
		}
	}
	return errno
}

// visit calls f on a thread that is in the network namespace ns (setns(2)).
func visit(ns *os.File, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open own network namespace: %w", err)
			return
		}
		defer home.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("join network namespace %q: %w", ns.Name(), err)
			return
		}
		err = f()
		// A thread that cannot come back ends with the goroutine, still locked.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// writeSysctl writes a file of /proc/sys/net. These show the network namespace
// of the thread that opens them.
func writeSysctl(name, value string) error {
	path := "/proc/sys/net/" + name
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return &os.PathError{Op: "write " + value + " to", Path: path, Err: err}
	}
	return nil
}

// readSysctl reads a file of /proc/sys/net, of one line.
func readSysctl(name string) (string, error) {
	path := "/proc/sys/net/" + name
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var b [64]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return "", &os.PathError{Op: "read", Path: path, Err: err}
	}
	for n > 0 && (b[n-1] == '\n' || b[n-1] == ' ') {
		n--
	}
	return string(b[:n]), nil
}

// hasIPv6 reports whether the kernel has IPv6 at all: it may be booted or built
// without.
func hasIPv6() bool {
	return unix.Access("/proc/sys/net/ipv6", unix.F_OK) == nil
}

// linkHasIPv6 reports whether a link of that MTU, 0 for the default one, has any
// part in IPv6.
func linkHasIPv6(mtu int) bool { return (mtu == 0 || mtu >= minMTU6) && hasIPv6() }
