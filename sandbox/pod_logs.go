package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

func (p *Pod) logFile(container string) string {
	return filepath.Join(p.logDir(), container+".log")
}

// Log reads what a container of a pod's bundle has written, all its runs in the
// background one behind the other.
type Log struct {
	f       *os.File
	changes *inotify      // nil if it is not followed
	ended   chan struct{} // closed when the pod has no monitor any more
	done    chan struct{} // closed by Close
	last    bool          // what is there is all there will be
	close   sync.Once
}

// OpenLog opens a log at its last lines, -1 for all. One that is followed ends with
// the pod's monitor, so at once if there is none; Read waits for more meanwhile.
func (p *Pod) OpenLog(container string, lines int, follow bool) (_ *Log, retErr error) {
	if p.rec.Engine != nil {
		return nil, fmt.Errorf("log of container %q of pod %q: %w", container, p.Name(), p.engineOnly())
	}
	if p.rec.Spec.container(container) == nil {
		return nil, fmt.Errorf("log of container %q: the bundle of pod %q has none of that name, and who adds one has its output", container, p.Name())
	}
	f, err := openFile(p.logFile(container), unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("log of container %q: pod %q has not run in the background: %w", container, p.Name(), err)
	}
	if err != nil {
		return nil, fmt.Errorf("log of container %q: %w", container, err)
	}
	l := &Log{f: f, last: !follow, done: make(chan struct{}), ended: make(chan struct{})}
	defer func() {
		if retErr != nil {
			l.Close()
		}
	}()
	if follow {
		// The file itself, whatever its name leads to by now.
		if l.changes, err = watchFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.IN_MODIFY); err != nil {
			return nil, fmt.Errorf("follow log of container %q: %w", container, err)
		}
		go func() {
			defer close(l.ended)
			_ = p.waitMonitor(l.done)
		}()
	}
	at, err := lastLines(f, lines)
	if err == nil {
		_, err = f.Seek(at, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("log of container %q: %w", container, err)
	}
	return l, nil
}

// Read reads on; io.EOF at the end.
func (l *Log) Read(b []byte) (int, error) {
	for {
		n, err := l.f.Read(b)
		if n > 0 || !errors.Is(err, io.EOF) || l.last {
			return n, err
		}
		if err := l.rewind(); err != nil {
			return 0, err
		}
		select {
		case <-l.changes.seen:
		case <-l.ended:
			l.last = true // but for what was written since
		case <-l.done:
			return 0, io.EOF
		}
	}
}

// rewind begins again with a file that somebody has made empty, as log rotation
// does.
func (l *Log) rewind() error {
	at, err := l.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	st, err := l.f.Stat()
	if err == nil && st.Size() < at {
		_, err = l.f.Seek(0, io.SeekStart)
	}
	return err
}

// Close ends a Read that waits.
func (l *Log) Close() error {
	var err error
	l.close.Do(func() {
		close(l.done)
		if l.changes != nil {
			l.changes.close()
		}
		err = l.f.Close()
	})
	return err
}

// lastLines returns where the last n lines of a file begin; 0 if n is negative. One
// without an end counts.
func lastLines(f *os.File, n int) (int64, error) {
	st, err := f.Stat()
	if err != nil || n < 0 {
		return 0, err
	}
	end := st.Size()
	if n == 0 {
		return end, nil
	}
	buf := make([]byte, 32<<10)
	n++ // ends of lines, one of them the last line's
	for at := end; at > 0; {
		size := min(at, int64(len(buf)))
		at -= size
		b := buf[:size]
		if _, err := f.ReadAt(b, at); err != nil {
			return 0, err
		}
		if at+size == end && b[size-1] != '\n' {
			n--
		}
		for {
			i := bytes.LastIndexByte(b, '\n')
			if i < 0 {
				break
			}
			if n--; n == 0 {
				return at + int64(i) + 1, nil
			}
			b = b[:i]
		}
	}
	return 0, nil
}
