package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// greet serves "TEXT for PEER", the address that whoever comes seems to have,
// at the address args[0]; TEXT is args[1].
func greet(out io.Writer, args []string) error {
	return serveText(out, args[0], func(peer net.Addr) []byte {
		host, _, _ := net.SplitHostPort(peer.String())
		return []byte(args[1] + " for " + host)
	})
}

// reach prints what the server at the address args[0] answers within args[1]
// milliseconds. A question by UDP is asked again and again: it may be lost while
// a neighbour is looked for.
func reach(out io.Writer, args []string) error {
	ms, err := number(args[1])
	if err != nil {
		return err
	}
	kind, addr := network(args[0])
	deadline := time.Now().Add(time.Duration(ms) * time.Millisecond)
	c, err := (&net.Dialer{Deadline: deadline}).Dial(kind, addr)
	if err != nil {
		return slow(err)
	}
	defer c.Close()
	if kind != "udp" {
		if err := c.SetDeadline(deadline); err != nil {
			return err
		}
		text, err := io.ReadAll(c)
		if err == nil {
			fmt.Fprintf(out, "%s\n", text)
		}
		return slow(err)
	}
	reply := make([]byte, 1500)
	for wait := 50 * time.Millisecond; ; wait *= 2 {
		if _, err := c.Write([]byte("?")); err != nil {
			return slow(err)
		}
		until := time.Now().Add(wait)
		if until.After(deadline) {
			until = deadline
		}
		if err := c.SetReadDeadline(until); err != nil {
			return err
		}
		n, err := c.Read(reply)
		if err == nil {
			fmt.Fprintf(out, "%s\n", reply[:n])
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || until.Equal(deadline) {
			return slow(err)
		}
	}
}

// slow has a deadline that passed called what it is to a test: nobody answered.
func slow(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("nobody answers")
	}
	return err
}

// blast sends zeros to whoever comes to the address args[0], until they go.
func blast(out io.Writer, args []string) error {
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready", l.Addr())
	zeros := make([]byte, 64<<10)
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		for err == nil {
			_, err = c.Write(zeros)
		}
		_ = c.Close()
	}
}

// pull reads args[2] bytes from the address args[0], after args[1] bytes that do
// not count, and prints the microseconds that it took.
func pull(out io.Writer, args []string) error {
	skip, err := number(args[1])
	if err != nil {
		return err
	}
	size, err := number(args[2])
	if err != nil {
		return err
	}
	c, err := net.Dial("tcp", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.CopyN(io.Discard, c, int64(skip)); err != nil {
		return err
	}
	start := time.Now()
	if _, err := io.CopyN(io.Discard, c, int64(size)); err != nil {
		return err
	}
	fmt.Fprintln(out, time.Since(start).Microseconds())
	return nil
}

// lookup prints the addresses of a name, as the resolver of a program that has
// just been started finds them: one that has run for a while remembers the
// hosts file.
func lookup(out io.Writer, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "resolve", args[0])
	text, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return errors.New(strings.TrimPrefix(strings.TrimSpace(string(exit.Stderr)), "probe: "))
	}
	_, _ = out.Write(text)
	return err
}

// resolveLimit is for name servers that do not answer.
const resolveLimit = 2 * time.Second

// resolve prints the addresses of a name.
func resolve(out io.Writer, args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), resolveLimit)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(ctx, args[0])
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return errors.New("unknown name")
	}
	if err == nil {
		fmt.Fprintln(out, strings.Join(addrs, " "))
	}
	return err
}
