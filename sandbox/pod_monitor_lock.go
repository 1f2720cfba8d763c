package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// The monitor of a pod is the process that is the parent of its own
// containers: a foreground `pod run`, or the process that `pod run -d` and
// `pod start` leave behind. It holds an open-file-description write lock on
// RUN/pods/UID/monitor until each container's end is recorded (fcntl_locking(2),
// Linux 3.15). Its death releases the lock, so that no PID has to be stored or
// trusted, and F_OFD_GETLK asks who holds it without taking it.

// monitorGrace bounds the wait for the monitor to notice that all containers
// are gone: it only has to reap and write a few small files.
const monitorGrace = 10 * time.Second

func (p *Pod) monitorFile() string { return filepath.Join(p.dir, "monitor") }

// lockMonitor makes this process the pod's monitor; ErrPodRunning when there is
// one already. The caller closes the file when its work is done.
func (p *Pod) lockMonitor() (*os.File, error) {
	f, err := openFile(p.monitorFile(), unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock monitor of pod %q: %w", p.Name(), err)
	}
	for began := time.Now(); ; {
		err := ofdLock(f, unix.F_OFD_SETLK, unix.F_WRLCK)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EAGAIN) {
			f.Close()
			return nil, fmt.Errorf("lock monitor of pod %q: %w", p.Name(), err)
		}
		holder, err := ofdHolder(f, unix.F_WRLCK)
		if err != nil || holder == unix.F_WRLCK {
			f.Close()
			return nil, errors.Join(fmt.Errorf("pod %q: %w", p.Name(), ErrPodRunning), err)
		}
		// A read lock is a waiter on its way out.
		if time.Since(began) > monitorGrace {
			f.Close()
			return nil, fmt.Errorf("lock monitor of pod %q: a waiter keeps it for %v", p.Name(), monitorGrace)
		}
		time.Sleep(time.Millisecond)
	}
}

// succeedMonitor is lockMonitor, and waits for a monitor whose last container has
// ended, and who is about to record that.
func (p *Pod) succeedMonitor() (*os.File, error) {
	f, err := p.lockMonitor()
	if !errors.Is(err, ErrPodRunning) {
		return f, err
	}
	if running, rerr := p.OwnRunning(); running || rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	if err := p.awaitMonitor(); err != nil {
		return nil, err
	}
	return p.lockMonitor()
}

// monitored reports whether a process is the pod's monitor.
func (p *Pod) monitored() bool {
	f, err := openFile(p.monitorFile(), unix.O_RDONLY, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	holder, err := ofdHolder(f, unix.F_RDLCK)
	return err == nil && holder == unix.F_WRLCK
}

// supervised reports whether a process is the pod's monitor and starts its
// containers one after the other, or again: if none is alive, one will be, or the pod
// is being stopped.
func (p *Pod) supervised() bool {
	return p.rec.Spec.startsLater() && p.monitored()
}

// waitMonitor returns when the pod has no monitor, at the latest when done is
// closed; then the goroutine that waits for the lock stays behind until the
// monitor ends.
func (p *Pod) waitMonitor(done <-chan struct{}) error {
	f, err := openFile(p.monitorFile(), unix.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("wait for monitor of pod %q: %w", p.Name(), err)
	}
	res := make(chan error, 1)
	go func() {
		defer f.Close()
		res <- ofdLock(f, unix.F_OFD_SETLKW, unix.F_RDLCK)
	}()
	select {
	case err := <-res:
		return err
	case <-done:
		return nil
	}
}

// awaitMonitor waits for the monitor of a pod whose processes are all dead.
func (p *Pod) awaitMonitor() error {
	if !p.monitored() {
		return nil
	}
	expired := make(chan struct{})
	t := time.AfterFunc(monitorGrace, func() { close(expired) })
	defer t.Stop()
	if err := p.waitMonitor(expired); err != nil {
		return err
	}
	if p.monitored() {
		return fmt.Errorf("monitor of pod %q has not ended within %v of its last container", p.Name(), monitorGrace)
	}
	return nil
}

func ofdLock(f *os.File, cmd int, kind int16) error {
	for {
		err := unix.FcntlFlock(f.Fd(), cmd, &unix.Flock_t{Type: kind, Whence: io.SeekStart})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// ofdHolder returns the type of the lock that keeps one of the wanted type
// from being taken; F_UNLCK when nothing does.
func ofdHolder(f *os.File, want int16) (int16, error) {
	lk := unix.Flock_t{Type: want, Whence: io.SeekStart}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lk)
	return lk.Type, err
}
