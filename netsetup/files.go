package netsetup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Names of the files of a pod, in the directory given to [WriteFiles].
const (
	HostnameFile = "hostname"
	HostsFile    = "hosts"
	ResolvFile   = "resolv.conf"
)

// Files is what a pod's files are made of.
type Files struct {
	Mode       Mode
	Hostname   string
	Domainname string
	// Addresses are the pod's own, to which the hosts file maps its host
	// name. None means 127.0.0.1, unless the file that is taken over from the
	// host or the other pod has the name.
	Addresses   []netip.Addr
	HostAliases []HostAlias
	// DNS lists that are not given are the host's, or the other pod's for
	// [Container]. In a namespace of its own, a pod gets none of the host's
	// servers that only the host can reach: those on loopback, in place of
	// which the upstream servers of a systemd-resolved are taken.
	DNS DNS
	// NetworkDNS is what the pod's network says of DNS: it goes before what the
	// host has.
	NetworkDNS DNS
	// Names has the hosts file end with the names of the other pods of the
	// network, once [WriteNames] tells them.
	Names bool
	// PodDir is the directory of the files of the pod whose network is
	// joined; for Container only, and required there.
	PodDir string
}

// host is where the files of the host are.
type host struct{ hosts, resolv, upstream string }

var theHost = host{hosts: "/etc/hosts", resolv: "/etc/resolv.conf", upstream: "/run/systemd/resolve/resolv.conf"}

// Check reports what is wrong with f, by field. It touches nothing.
func (f Files) Check() error {
	switch f.Mode.Kind {
	case None, Host, Path, Named:
	case Container:
		if f.PodDir == "" {
			return fmt.Errorf("network.mode %q: the directory of the pod's files is not known", f.Mode)
		}
	default:
		return fmt.Errorf("network.mode %q is not supported: use %s", f.Mode, modes)
	}
	if err := CheckHostname(f.Hostname); err != nil {
		return err
	}
	if err := CheckDomainname(f.Domainname); err != nil {
		return err
	}
	if err := checkAliases(f.HostAliases); err != nil {
		return err
	}
	return f.DNS.Check()
}

// WriteFiles writes the hostname, hosts and resolv.conf of a pod, mode 0644,
// into dir, which must exist. A file that does not exist appears with its
// whole content. One that does exist keeps its inode, and with it the bind
// mounts in running containers: the new content is there before the rest of
// the old is cut off, and space for it before anything is changed. With Files.Names,
// a hosts file that exists is left to [WriteNames], so that names of others do not
// go and come back.
//
// dir must not be writable to containers; the files may be. Calls for the same
// dir must not run at the same time.
func WriteFiles(dir string, f Files) error { return writeFiles(dir, f, theHost) }

func writeFiles(dir string, f Files, h host) error {
	if err := f.Check(); err != nil {
		return fmt.Errorf("write pod files: %w", err)
	}
	hostsText, err := f.hosts(h)
	if err != nil {
		return fmt.Errorf("write pod files: %w", err)
	}
	resolvText, err := f.resolv(h)
	if err != nil {
		return fmt.Errorf("write pod files: %w", err)
	}
	files := []struct{ name, content string }{
		{HostnameFile, f.Hostname + "\n"},
		{ResolvFile, resolvText},
	}
	if _, err := os.Lstat(filepath.Join(dir, ownHostsFile)); !f.Names || err != nil {
		files = append(files, struct{ name, content string }{HostsFile, hostsText})
	}
	if f.Names {
		// The last: whoever finds it may write the hosts file.
		files = append(files, struct{ name, content string }{ownHostsFile, hostsText})
	}
	for _, file := range files {
		if err := writeFile(dir, file.name, file.content); err != nil {
			return fmt.Errorf("write pod file %q: %w", filepath.Join(dir, file.name), err)
		}
	}
	return nil
}

// hosts returns the hosts file.
func (f Files) hosts(h host) (string, error) {
	base := "# Written by podrt.\n" + localHosts
	var err error
	switch f.Mode.Kind {
	case Host:
		base, err = readOptional(h.hosts)
	case Container:
		base, err = readFile(filepath.Join(f.PodDir, ownHostsFile))
		if errors.Is(err, fs.ErrNotExist) { // in no network
			base, err = readShared(filepath.Join(f.PodDir, HostsFile))
		}
	}
	if err != nil {
		return "", err
	}
	addresses := f.Addresses
	if len(addresses) == 0 && !hasName(base, f.Hostname) {
		// Programs look their own name up.
		addresses = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	return formatHosts(base, f.Hostname, f.Domainname, addresses, f.HostAliases), nil
}

// resolv returns the resolv.conf.
func (f Files) resolv(h host) (string, error) {
	if f.Mode.Kind != Host && f.Mode.Kind != Container {
		d, err := h.dnsElsewhere()
		if err != nil {
			return "", err
		}
		return f.DNS.or(f.NetworkDNS).or(d).format(), nil
	}
	// The same network: the same file, unless something else is wanted.
	var text string
	var err error
	if f.Mode.Kind == Host {
		text, err = readOptional(h.resolv)
	} else {
		text, err = readShared(filepath.Join(f.PodDir, ResolvFile))
	}
	if err != nil || len(f.DNS.Servers)+len(f.DNS.Searches)+len(f.DNS.Options) == 0 {
		return text, err
	}
	return f.DNS.or(parseResolv(text)).format(), nil
}

// HostDNS returns what the host's resolv.conf says: for its own network, and for other
// network namespaces, without the servers that mean something else there.
func HostDNS() (own, elsewhere DNS, err error) {
	text, err := readOptional(theHost.resolv)
	if err == nil {
		elsewhere, err = theHost.dnsElsewhere()
	}
	return parseResolv(text), elsewhere, err
}

// dnsElsewhere is dns for other network namespaces.
func (h host) dnsElsewhere() (DNS, error) {
	d, err := h.dns()
	d.Servers = reachable(d.Servers)
	return d, err
}

// dns returns what the host's resolver uses, by way of systemd-resolved if
// its stub is all that resolv.conf names.
func (h host) dns() (DNS, error) {
	text, err := readOptional(h.resolv)
	if err != nil {
		return DNS{}, err
	}
	d := parseResolv(text)
	if !stubOnly(d.Servers) {
		return d, nil
	}
	text, err = readOptional(h.upstream)
	if err != nil || text == "" {
		return d, err
	}
	return parseResolv(text), nil
}

func readFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}

// maxShared is more bytes than a pod's hosts or resolv.conf has.
const maxShared = 2 << 20

// readShared is readFile for a file that containers can write. It does not wait
// for one that holds a lease on it (see writeFile).
func readShared(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxShared+1))
	if err == nil && len(b) > maxShared {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("more than %d bytes", maxShared)}
	}
	return string(b), err
}

// readOptional returns "" for a file that does not exist, as the host's may
// (resolv.conf(5), hosts(5)).
func readOptional(path string) (string, error) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

func writeFile(dir, name, content string) error {
	path := filepath.Join(dir, name)
	// O_NONBLOCK: a container can hold a lease on its file (F_SETLEASE, fcntl(2)),
	// and have whoever opens it wait for fs.lease-break-time, 45 s.
	file, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return createFile(path, filepath.Join(dir, "."+name+".tmp"), content)
	}
	if err != nil {
		return err
	}
	err = overwrite(file, content)
	return errors.Join(err, file.Close())
}

// createFile makes path by a rename of tmp, which a SIGKILL may have left.
func createFile(path, tmp, content string) error {
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err == nil {
		err = file.Chmod(0o644) // whatever the umask
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// overwrite changes an existing file in place.
func overwrite(file *os.File, content string) error {
	size := int64(len(content))
	if size > 0 {
		err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			return &fs.PathError{Op: "fallocate", Path: file.Name(), Err: err}
		}
	}
	if _, err := file.WriteAt([]byte(content), 0); err != nil {
		return err
	}
	return file.Truncate(size)
}
