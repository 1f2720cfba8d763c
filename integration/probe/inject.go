package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// inject sends a UDP datagram in IPv4 that it has made itself, past this
// network namespace's own routes and filters, out of the link args[0] to the
// neighbour with the MAC address args[1]: from the address and port args[2] to
// args[3], with the text args[4]: packet(7).
func inject(_ io.Writer, args []string) error {
	link, err := net.InterfaceByName(args[0])
	if err != nil {
		return err
	}
	mac, err := net.ParseMAC(args[1])
	if err != nil {
		return err
	}
	from, err := netip.ParseAddrPort(args[2])
	if err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(args[3])
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w", err)
	}
	defer unix.Close(fd)
	const ipv4 = unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8 // in the network's order
	sa := &unix.SockaddrLinklayer{Protocol: ipv4, Ifindex: link.Index, Halen: uint8(len(mac))}
	copy(sa.Addr[:], mac)
	return unix.Sendto(fd, datagram(from, to, args[4]), 0, sa)
}

// datagram is an IPv4 packet (RFC 791) with a UDP datagram (RFC 768) that has no
// checksum, as UDP over IPv4 may.
func datagram(from, to netip.AddrPort, text string) []byte {
	const ipHeader, udpHeader = 20, 8
	p := make([]byte, ipHeader+udpHeader, ipHeader+udpHeader+len(text))
	p[0] = 4<<4 | ipHeader/4
	binary.BigEndian.PutUint16(p[2:], uint16(cap(p)))
	p[8] = 64 // time to live
	p[9] = unix.IPPROTO_UDP
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(p[12:], src[:])
	copy(p[16:], dst[:])
	var sum uint32
	for i := 0; i < ipHeader; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum))
	udp := p[ipHeader:]
	binary.BigEndian.PutUint16(udp[0:], from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpHeader+len(text)))
	return append(p, text...)
}
