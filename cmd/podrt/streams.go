package main

import (
	"io"
	"os"
	"sync"

	"github.com/podrt/podrt/sandbox"
)

// streams connect a process with this one's standard streams, or with whoever
// listens on the console socket.
type streams interface {
	attach() error // once the process is set up or started; more than once is as good
	resize()       // the terminal changed its size
	close()        // once the process has ended, or was not started; waits for its last output
}

// openStreams gives the process its standard streams or its terminal.
func (r *runner) openStreams(p *sandbox.Process) (streams, error) {
	switch {
	case r.process.Terminal && r.detach:
		return newRemoteConsole(p, r.io.consoleSocket)
	case r.process.Terminal:
		return newConsole(p)
	case r.detach:
		p.Stdin, p.Stdout, p.Stderr = os.Stdin, os.Stdout, os.Stderr
		return inherited{}, nil
	}
	return newPiped(r.container, p)
}

// inherited are this process's own streams.
type inherited struct{}

func (inherited) attach() error { return nil }
func (inherited) resize()       {}
func (inherited) close()        {}

// piped copies between this process's streams and pipes, which belong to the
// container's root.
type piped struct {
	pipes  *sandbox.Pipes
	copies sync.WaitGroup
	once   sync.Once
}

func newPiped(c *sandbox.Container, p *sandbox.Process) (*piped, error) {
	pipes, err := c.Pipe(p)
	if err != nil {
		return nil, err
	}
	s := &piped{pipes: pipes}
	go func() {
		_, _ = io.Copy(pipes.Stdin, os.Stdin)
		_ = pipes.Stdin.Close()
	}()
	s.copies.Add(2)
	for _, c := range []struct{ to, from *os.File }{{os.Stdout, pipes.Stdout}, {os.Stderr, pipes.Stderr}} {
		go func() {
			defer s.copies.Done()
			_, _ = io.Copy(c.to, c.from)
			// A reader that is gone is the process's to notice, too.
			_ = c.from.Close()
		}()
	}
	return s, nil
}

func (s *piped) attach() error {
	s.pipes.CloseInner()
	return nil
}

func (s *piped) resize() {}

func (s *piped) close() {
	s.once.Do(func() {
		s.pipes.CloseInner()
		s.copies.Wait()
		s.pipes.Close()
	})
}
