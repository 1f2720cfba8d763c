package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/containerd/console"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/sandbox"
)

// remoteConsole is a terminal whose master goes to the peer of a socket.
type remoteConsole struct{ socket *os.File }

func newRemoteConsole(p *sandbox.Process, path string) (*remoteConsole, error) {
	socket, err := dialUnix(path)
	if err != nil {
		return nil, err
	}
	p.ConsoleSocket = socket
	return &remoteConsole{socket}, nil
}

func (c *remoteConsole) attach() error {
	c.close()
	return nil
}
func (c *remoteConsole) resize() {}
func (c *remoteConsole) close()  { _ = c.socket.Close() }

// dialUnix connects to a unix socket, as a file to be inherited.
func dialUnix(path string) (*os.File, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.File() // a duplicate
}

// localConsole is a terminal whose master is connected with this process's own
// terminal.
type localConsole struct {
	own    console.Console // raw while the process runs
	socket *os.File        // the process's init sends the master here
	inner  *os.File
	master *os.File
	taken  chan error // gets the result of take, once
	output sync.WaitGroup
	once   sync.Once
}

func newConsole(p *sandbox.Process) (*localConsole, error) {
	own, err := ownTerminal()
	if err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	c := &localConsole{
		own:    own,
		socket: os.NewFile(uintptr(fds[0]), "console-parent"),
		inner:  os.NewFile(uintptr(fds[1]), "console-child"),
		taken:  make(chan error, 1),
	}
	p.ConsoleSocket = c.inner
	// While the process is set up, and so before it writes.
	go func() { c.taken <- c.take() }()
	return c, nil
}

// ownTerminal finds the terminal that this process is on: usually all three
// streams are, but each may have been redirected.
func ownTerminal() (console.Console, error) {
	for _, f := range []*os.File{os.Stderr, os.Stdout, os.Stdin} {
		c, err := console.ConsoleFromFile(f)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, console.ErrNotAConsole) {
			return nil, fmt.Errorf("unable to get console: %w", err)
		}
	}
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	c, err := console.ConsoleFromFile(f)
	if err != nil {
		return nil, fmt.Errorf("unable to get console: %w", err)
	}
	return c, nil
}

func (c *localConsole) attach() error {
	_ = c.inner.Close() // or a missing message would never end the wait
	err := <-c.taken
	c.taken <- err // for close
	if err == nil {
		// Once more: CRIU sends the master first, and then puts the settings back
		// that the terminal had.
		if raw, err := c.master.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = console.ClearONLCR(fd) })
		}
	}
	return err
}

// take receives the master and begins to copy.
func (c *localConsole) take() error {
	master, err := receiveFile(c.socket)
	if err != nil {
		return err
	}
	// The terminal outside adds the carriage returns.
	if err := console.ClearONLCR(uintptr(master)); err != nil {
		unix.Close(master)
		return err
	}
	// Non-blocking, so that reading can be ended.
	if err := unix.SetNonblock(master, true); err != nil {
		unix.Close(master)
		return os.NewSyscallError("fcntl", err)
	}
	c.master = os.NewFile(uintptr(master), "console")
	if err := c.own.SetRaw(); err != nil {
		return fmt.Errorf("failed to set the terminal from the stdin: %w", err)
	}
	c.resize()
	go func() { _, _ = io.Copy(c.master, os.Stdin) }()
	c.output.Add(1)
	go func() {
		defer c.output.Done()
		_, _ = io.Copy(os.Stdout, c.master)
	}()
	return nil
}

// resize takes the size over. The terminal may be gone (SIGHUP): no error.
func (c *localConsole) resize() {
	size, err := c.own.Size()
	if err != nil {
		return
	}
	raw, err := c.master.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
	})
}

func (c *localConsole) close() {
	c.once.Do(func() {
		_ = c.attach()
		_ = c.socket.Close()
		if c.master != nil {
			c.drain()
			_ = c.master.Close()
		}
		_ = c.own.Reset()
	})
}

// drain copies what the process wrote before its end. Reading ends by itself
// (EIO) when no process has the terminal open any more; if one still has, it
// is ended here, and what is there now is all that is waited for. A read of a
// terminal without input first flushes what is on its way (n_tty_read).
func (c *localConsole) drain() {
	_ = c.master.SetReadDeadline(time.Unix(1, 0))
	c.output.Wait()
	raw, err := c.master.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		buf := make([]byte, 4096)
		for {
			n, err := unix.Read(int(fd), buf)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if n <= 0 {
				return
			}
			if _, err := os.Stdout.Write(buf[:n]); err != nil {
				return
			}
		}
	})
}

// receiveFile takes one descriptor from a socket (unix(7), SCM_RIGHTS).
func receiveFile(socket *os.File) (int, error) {
	// The message that comes along is a name; room for two descriptors, so
	// that more than one is noticed.
	name, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(8))
	var (
		oobn int
		err  error
	)
	for {
		_, oobn, _, _, err = unix.Recvmsg(int(socket.Fd()), name, oob, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return -1, os.NewSyscallError("recvmsg", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return -1, fmt.Errorf("receive console: %w", err)
	}
	var fds []int
	for i := range messages {
		got, err := unix.ParseUnixRights(&messages[i])
		if err == nil {
			fds = append(fds, got...)
		}
	}
	if len(fds) != 1 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return -1, fmt.Errorf("receive console: got %d descriptors; want 1", len(fds))
	}
	return fds[0], nil
}
