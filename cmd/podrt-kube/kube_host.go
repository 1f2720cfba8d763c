package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/cmd/podrt-kube/manifest"
	"github.com/podrt/podrt/sandbox"
)

// thisHost is what manifests depend on of this host.
func thisHost() (*manifest.Host, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, os.NewSyscallError("sysinfo", err)
	}
	hostDNS, dns, err := sandbox.HostDNS()
	if err != nil {
		return nil, err
	}
	return &manifest.Host{
		Name: name, IPs: hostIPs(), CPUs: runtime.NumCPU(), Memory: int64(info.Totalram) * int64(info.Unit),
		DNS: dns, HostDNS: hostDNS,
		Devices: func() ([]specs.LinuxDevice, error) { return hostDevices("/dev") },
		SeccompProfile: func(name string) ([]byte, error) {
			return readProfile("/var/lib/kubelet/seccomp", name)
		},
	}, nil
}

// hostIPs are the addresses by which this host reaches others, of each family that it
// has a route of. Nothing is sent: connect(2) of a datagram socket asks the routes.
func hostIPs() []netip.Addr {
	var ips []netip.Addr
	for _, to := range []struct{ network, address string }{
		{"udp4", "192.0.2.1:9"}, {"udp6", "[2001:db8::1]:9"}, // of no one's (RFC 5737, RFC 3849)
	} {
		c, err := net.Dial(to.network, to.address)
		if err != nil {
			continue
		}
		if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
			ips = append(ips, a.AddrPort().Addr().Unmap())
		}
		c.Close()
	}
	return ips
}

// hostDevices are the devices below dir, which is /dev, as containerd gives them to a
// privileged container: without those that a container has of its own.
func hostDevices(dir string) ([]specs.LinuxDevice, error) {
	var all []specs.LinuxDevice
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil // gone meanwhile
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains([]string{"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"}, d.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeDevice == 0 || d.Name() == "console" || d.Name() == "ptmx" {
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return nil // gone meanwhile
		}
		kind := "b"
		if st.Mode&unix.S_IFMT == unix.S_IFCHR {
			kind = "c"
		}
		mode := fs.FileMode(st.Mode & 0o777)
		all = append(all, specs.LinuxDevice{
			Path: path, Type: kind, Major: int64(unix.Major(st.Rdev)), Minor: int64(unix.Minor(st.Rdev)),
			FileMode: &mode, UID: &st.Uid, GID: &st.Gid,
		})
		return nil
	})
	return all, err
}

// maxProfile is more than a seccomp profile has.
const maxProfile = 4 << 20

// readProfile reads a seccomp profile of the kubelet's directory.
func readProfile(dir, name string) ([]byte, error) {
	f, err := os.OpenInRoot(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxProfile+1))
	if err == nil && len(text) > maxProfile {
		err = fmt.Errorf("more than %d bytes", maxProfile)
	}
	return text, err
}
