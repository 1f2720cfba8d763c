package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Pipes are the outer ends of a process's standard streams.
type Pipes struct {
	Stdin          *os.File // write end
	Stdout, Stderr *os.File // read ends

	inner []*os.File
}

// Pipe gives the process a pipe for each standard stream, owned by the
// container's root so that it can be opened again through /proc/self/fd in a
// user namespace.
func (c *Container) Pipe(p *Process) (_ *Pipes, retErr error) {
	uid, gid, err := c.HostRoot()
	if err != nil {
		return nil, err
	}
	var all []*os.File
	defer func() {
		if retErr != nil {
			closeFiles(all)
		}
	}()
	for range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("make standard streams: %w", err)
		}
		all = append(all, r, w)
		for _, f := range []*os.File{r, w} {
			// By number: Fd would make the end blocking for good.
			if err := chownFile(f, uid, gid); err != nil {
				return nil, fmt.Errorf("make standard streams: %w", err)
			}
		}
	}
	p.Stdin, p.Stdout, p.Stderr = all[0], all[3], all[5]
	return &Pipes{
		Stdin: all[1], Stdout: all[2], Stderr: all[4],
		inner: []*os.File{all[0], all[3], all[5]},
	}, nil
}

// CloseInner closes this process's copies of the inner ends, once the process
// has been started or could not be.
func (p *Pipes) CloseInner() { closeFiles(p.inner) }

// Close closes all ends.
func (p *Pipes) Close() { closeFiles(append(p.inner, p.Stdin, p.Stdout, p.Stderr)) }

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

func chownFile(f *os.File, uid, gid int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var cerr error
	if err := raw.Control(func(fd uintptr) { cerr = unix.Fchown(int(fd), uid, gid) }); err != nil {
		return err
	}
	if cerr != nil {
		return &os.PathError{Op: "fchown", Path: f.Name(), Err: cerr}
	}
	return nil
}
