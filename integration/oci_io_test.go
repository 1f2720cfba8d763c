package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestOCIStreams(t *testing.T) {
	o := newOCI(t, "cat; echo err >&2; exit 5")
	cmd := o.command("run", "c1")
	cmd.Stdin = strings.NewReader("in\n")
	if r := o.finish(cmd); r.code != 5 || r.stdout != "in\n" || r.stderr != "err\n" {
		t.Errorf("run = %+v; want exit code 5 and the streams", r)
	}
	// Opened anew by a user of the container's, who does not own podrt's.
	o.configure(func(s *specs.Spec) {
		s.Process.Args[2] = "echo again > /proc/self/fd/1; echo more > /proc/self/fd/2"
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
	})
	o.reachable() // by the container's root
	if r := o.call("run", "c1"); r.code != 0 || r.stdout != "again\n" || r.stderr != "more\n" {
		t.Errorf("run in a user namespace = %+v", r)
	}
}

// listenUnix gives a socket that is not in a path too long for one.
func listenUnix(t *testing.T, network string) (path string, l *os.File) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "oci") //nolint:usetesting // t.TempDir has the test's name in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "s")
	typ := unix.SOCK_STREAM
	if network == "unixgram" {
		typ = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l = os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { l.Close() })
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if typ == unix.SOCK_STREAM {
		if err := unix.Listen(fd, 1); err != nil {
			t.Fatal(err)
		}
	}
	return path, l
}
