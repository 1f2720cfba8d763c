package netsetup

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkBind looks whether a process of the host has the port: it binds it for a
// moment in the network namespace of the caller. A port that a process listens
// on is a [PortTakenError]; an address that the host does not have is an error,
// unless net.ipv4.ip_nonlocal_bind, or its like for IPv6, is set.
func checkBind(p Port) error {
	addresses := []netip.Addr{p.HostIP}
	if !p.HostIP.IsValid() {
		addresses = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, ip := range addresses {
		err := bind(p.Protocol, ip, p.HostPort)
		switch {
		case err == nil:
		case !p.HostIP.IsValid() && ip.Is6() && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)):
			// The host is without IPv6.
		case errors.Is(err, unix.EADDRNOTAVAIL):
			return fmt.Errorf("port %q: the host does not have the address %s", p, ip)
		case errors.Is(err, unix.EADDRINUSE):
			if err := checkHolder(p); err != nil {
				return err
			}
		default:
			return fmt.Errorf("port %q: %w", p, err)
		}
	}
	return nil
}

// bind binds a socket and closes it.
func bind(protocol Protocol, ip netip.Addr, port uint16) error {
	kind, number := unix.SOCK_STREAM, 0
	switch protocol {
	case UDP:
		kind = unix.SOCK_DGRAM
	case SCTP:
		if _, err := os.Stat(netFile("sctp")); err != nil {
			return nil // nobody uses SCTP; a socket would load its module
		}
		number = unix.IPPROTO_SCTP
	}
	family, address := unix.AF_INET, unix.Sockaddr(nil)
	if ip.Is4() {
		address = &unix.SockaddrInet4{Port: int(port), Addr: ip.As4()}
	} else {
		family, address = unix.AF_INET6, &unix.SockaddrInet6{Port: int(port), Addr: ip.As16()}
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, number)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if protocol == TCP {
		// As servers do: connections in TIME-WAIT do not matter.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return os.NewSyscallError("bind", unix.Bind(fd, address))
}

// netFile is a file of proc_pid_net(5), of the thread: it may be in another
// network namespace than the process.
func netFile(name string) string { return "/proc/thread-self/net/" + name }

// Socket states in proc_pid_net(5), hexadecimal.
const (
	tcpListen      = "0A"
	udpEstablished = "01"
)

// checkHolder returns a [PortTakenError] for a port that cannot be bound. The
// local port of a client's connection is not taken as long as its packets have an
// entry in conntrack, by which they are not looked for among published ports. It has
// none if it is older than the first rule that needs conntrack.
func checkHolder(p Port) error {
	sockets := readSockets(p)
	for _, s := range sockets {
		if !s.listens {
			continue
		}
		pid, name := processOf(s.inode)
		return &PortTakenError{Port: p, PID: pid, Process: name}
	}
	if len(sockets) > 0 {
		if p.datagrams() {
			return nil
		}
		known, err := connections(func(c connection) bool {
			return c.reply.protocol == protocolNumber(p.Protocol) && c.reply.port == p.HostPort
		})
		if err != nil || len(known) > 0 {
			return err
		}
		pid, name := processOf(sockets[0].inode)
		return &PortTakenError{Port: p, PID: pid, Process: name}
	}
	// Bound, and not listening: not in /proc/net.
	return &PortTakenError{Port: p}
}

type socket struct {
	inode   string
	listens bool
}

// readSockets returns the sockets that have the host port, whichever address.
func readSockets(p Port) []socket {
	files := []string{string(p.Protocol), string(p.Protocol) + "6"}
	if p.Protocol == SCTP {
		files = []string{"sctp/eps"}
	}
	var sockets []socket
	for _, file := range files {
		text, _ := readOptional(netFile(file)) // unreadable is unknown
		for line := range strings.Lines(text) {
			s, port, ok := parseSocket(p.Protocol, strings.Fields(line))
			if ok && port == uint64(p.HostPort) {
				sockets = append(sockets, s)
			}
		}
	}
	return sockets
}

// parseSocket reads a line of net/tcp or net/udp (proc_pid_net(5): the local
// address, hexadecimal, second, the state fourth, the inode tenth) or of
// net/sctp/eps (the port sixth, decimal, the inode eighth).
func parseSocket(protocol Protocol, fields []string) (s socket, port uint64, ok bool) {
	if protocol == SCTP {
		if len(fields) < 8 {
			return s, 0, false
		}
		port, err := strconv.ParseUint(fields[5], 10, 16)
		return socket{inode: fields[7], listens: true}, port, err == nil
	}
	if len(fields) < 10 {
		return s, 0, false
	}
	_, hex, _ := strings.Cut(fields[1], ":")
	port, err := strconv.ParseUint(hex, 16, 16)
	s.inode, s.listens = fields[9], fields[3] == tcpListen
	if protocol == UDP {
		s.listens = fields[3] != udpEstablished
	}
	return s, port, err == nil
}

// processOf finds the process that has the socket open, by proc_pid_fd(5); 0 if
// none is seen.
func processOf(inode string) (pid int, name string) {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, n)
		}
	}
	slices.Sort(pids)
	for _, n := range pids {
		dir := "/proc/" + strconv.Itoa(n)
		fds, _ := os.ReadDir(dir + "/fd") // gone meanwhile
		for _, fd := range fds {
			if target, _ := os.Readlink(dir + "/fd/" + fd.Name()); target == "socket:["+inode+"]" {
				comm, _ := readOptional(dir + "/comm")
				return n, strings.TrimSuffix(comm, "\n")
			}
		}
	}
	return 0, ""
}
