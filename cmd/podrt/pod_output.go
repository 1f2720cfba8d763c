package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// outputMux prints the lines of several containers, each behind its
// container's name, whole lines at a time.
type outputMux struct {
	mu     sync.Mutex
	wg     sync.WaitGroup
	width  int
	color  bool
	names  []string
	lost   atomic.Pointer[error] // why the first line that is lost could not be written
	unread chan struct{}         // closed when nobody reads the output any more
	close  func()                // closes it
}

// maxLine bounds what is held of a line without an end; longer ones are
// printed in pieces, as container runtimes' log drivers do at 16 KiB.
const maxLine = 16 << 10

// newOutputMux is for the containers of those names. The process must outlive
// pipes. unread is called once, when nobody reads the output any more.
func newOutputMux(names []string, unread func()) *outputMux {
	m := &outputMux{names: names, color: isTerminal(os.Stdout) && os.Getenv("NO_COLOR") == "", unread: make(chan struct{})}
	m.close = sync.OnceFunc(func() {
		close(m.unread)
		unread()
	})
	for _, n := range names {
		m.width = max(m.width, len(n))
	}
	return m
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// stdio is a sandbox.Stdio: pipes whose read ends are printed until the last
// holder of the write ends has gone.
func (m *outputMux) stdio(name string) (stdin, stdout, stderr *os.File, err error) {
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		outR.Close()
		outW.Close()
		return nil, nil, nil, err
	}
	prefix := m.prefix(name)
	m.wg.Go(func() { m.copy(os.Stdout, outR, prefix) })
	m.wg.Go(func() { m.copy(os.Stderr, errR, prefix) })
	return nil, outW, errW, nil
}

// add prints what is read for a container, on stdout.
func (m *outputMux) add(name string, src io.ReadCloser) {
	prefix := m.prefix(name)
	m.wg.Go(func() { m.copy(os.Stdout, src, prefix) })
}

// prefix is what stands before each line of a container.
func (m *outputMux) prefix(name string) string {
	prefix := fmt.Sprintf("%-*s | ", m.width, name)
	if m.color {
		// The six plain colours from red to cyan, in turn: a container keeps its own.
		i := slices.Index(m.names, name)
		prefix = fmt.Sprintf("\x1b[3%dm%s\x1b[0m", 1+i%6, prefix)
	}
	return prefix
}

func (m *outputMux) copy(dst io.Writer, src io.ReadCloser, prefix string) {
	defer src.Close()
	r := bufio.NewReaderSize(src, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			if line[len(line)-1] != '\n' {
				line = append(line[:len(line):len(line)], '\n')
			}
			// A container never waits for what cannot be written.
			m.mu.Lock()
			_, err := fmt.Fprintf(dst, "%s%s", prefix, line)
			m.mu.Unlock()
			if errors.Is(err, unix.EPIPE) {
				m.close()
			} else if err != nil {
				m.lost.CompareAndSwap(nil, &err)
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// wait returns when all output has been printed, or nobody reads it, or on a
// signal: somebody else may hold a container's end of a pipe. The error is why
// some could not be printed.
func (m *outputMux) wait() error {
	ctx, stop := interruptible()
	defer stop()
	done := make(chan struct{})
	go func() {
		m.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-m.unread:
	case <-ctx.Done():
	}
	if lost := m.lost.Load(); lost != nil {
		return *lost
	}
	return nil
}
