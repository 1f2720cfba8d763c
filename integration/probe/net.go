package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

// network is that of an address: "@NAME" is an abstract unix socket, which
// belongs to the network namespace, "/PATH" one in a file system, "udp:ADDR"
// UDP, anything else TCP.
func network(addr string) (string, string) {
	if rest, ok := strings.CutPrefix(addr, "udp:"); ok {
		return "udp", rest
	}
	if strings.HasPrefix(addr, "@") || strings.HasPrefix(addr, "/") {
		return "unix", addr
	}
	return "tcp", addr
}

// listen serves args[1] to whoever comes to the address args[0].
func listen(out io.Writer, args []string) error {
	return serveText(out, args[0], func(net.Addr) []byte { return []byte(args[1]) })
}

// serveText sends a text, which may depend on who asks, to whoever comes to an
// address.
func serveText(out io.Writer, address string, text func(peer net.Addr) []byte) error {
	kind, addr := network(address)
	if kind == "udp" {
		c, err := net.ListenPacket(kind, addr)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, "ready", c.LocalAddr())
		for {
			_, from, err := c.ReadFrom(make([]byte, 1))
			if err != nil {
				return err
			}
			_, _ = c.WriteTo(text(from), from)
		}
	}
	l, err := net.Listen(kind, addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready", l.Addr())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		_, _ = c.Write(text(c.RemoteAddr()))
		_ = c.Close()
	}
}

// dial prints what the listener at the address has to say.
func dial(out io.Writer, args []string) error {
	kind, addr := network(args[0])
	c, err := net.Dial(kind, addr)
	if err != nil {
		return err
	}
	defer c.Close()
	var reply []byte
	if kind == "udp" {
		if _, err := c.Write([]byte("?")); err != nil {
			return err
		}
		reply = make([]byte, 1500)
		var n int
		n, err = c.Read(reply) // refused where nobody listens: ICMP
		reply = reply[:n]
	} else {
		reply, err = io.ReadAll(c)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", reply)
	return nil
}

// notify tells a service manager, as sd_notify(3) does.
func notify(_ io.Writer, args []string) error {
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.WriteString(c, args[0])
	return err
}

// report sends a number to a datagram socket, one higher each time, through one
// connection.
func report(_ io.Writer, args []string) error {
	c, err := net.Dial("unixgram", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	for n := 1; ; n++ {
		if _, err := fmt.Fprint(c, n); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
