package bundle

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// ProbeEnv names the environment variable with the path of the probe program
// (../probe), which the tests of package integration set. Without it roots hold
// no probe.
const ProbeEnv = "PODRT_PROBE"

// applets are the names by which a root has busybox.
var applets = [...]string{
	"awk", "cat", "chmod", "cp", "cut", "date", "dd", "df", "echo", "env", "expr", "false", "find", "grep",
	"head", "hostname", "httpd", "id", "ip", "kill", "ln", "ls", "mkdir", "mount", "mv", "nc", "pidof", "ps",
	"pwd", "readlink", "rm", "sed", "seq", "setsid", "sh", "sleep", "sort", "stat", "tail", "test", "touch",
	"tr", "true", "tty", "umount", "uname", "wc", "wget", "yes",
}

// Programs are read once: in the VM they come from the host.
var (
	busybox = sync.OnceValues(func() ([]byte, error) {
		b, err := os.ReadFile("/bin/busybox")
		if err != nil {
			return nil, fmt.Errorf("busybox of Debian's busybox-static: %w", err)
		}
		return b, nil
	})
	probe = sync.OnceValues(func() ([]byte, error) {
		path := os.Getenv(ProbeEnv)
		if path == "" {
			return nil, nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ProbeEnv, err)
		}
		return b, nil
	})
)

// Root makes a root file system in dir: busybox with its applets in /bin, the
// probe as /probe, users and groups, /tmp. /proc, /sys and /dev are left to the
// runtime.
func Root(dir string) error {
	for _, name := range []string{"bin", "etc", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	// The umask cuts what MkdirAll makes.
	if err := os.Chmod(filepath.Join(dir, "tmp"), 0o777|fs.ModeSticky); err != nil {
		return err
	}
	shell, err := busybox()
	if err != nil {
		return err
	}
	prober, err := probe()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		mode fs.FileMode
		data []byte
	}{
		{"bin/busybox", 0o755, shell},
		{"probe", 0o755, prober},
		{"etc/passwd", 0o644, []byte("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")},
		{"etc/group", 0o644, []byte("root:x:0:\nnogroup:x:65534:\n")},
	} {
		if f.data == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	for _, name := range applets {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			return err
		}
	}
	return nil
}

// Chown gives all of dir to the user and group: a root for a user namespace.
func Chown(dir string, uid, gid int) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
