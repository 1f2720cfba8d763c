package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// PortTakenError says who has a host port that a pod wants.
type PortTakenError struct {
	Port    Port
	UID     string // of the pod, if it is one
	PID     int    // of the process otherwise; 0 if it is not seen
	Process string // its name, proc_pid_comm(5)
}

func (e *PortTakenError) Error() string {
	address := "port " + strconv.Itoa(int(e.Port.HostPort))
	if e.Port.HostIP.IsValid() {
		address = netip.AddrPortFrom(e.Port.HostIP, e.Port.HostPort).String()
	}
	address = fmt.Sprintf("host %s/%s is taken by ", address, e.Port.Protocol)
	switch {
	case e.UID != "":
		return address + "pod " + e.UID
	case e.PID != 0:
		return address + fmt.Sprintf("process %d (%q)", e.PID, e.Process)
	}
	return address + "a process that is not seen here"
}

// claim is one link in Run/ports, its target taken apart.
type claim struct {
	Port
	name string
	boot string
	uid  string
}

// anyAddress stands for every address of the host in a claim's name.
const anyAddress = "*"

func claimName(p Port) string {
	ip := anyAddress
	if p.HostIP.IsValid() {
		ip = p.HostIP.String()
	}
	return fmt.Sprintf("%s,%d,%s", p.Protocol, p.HostPort, ip)
}

// parseClaim reads name and target of a link.
func parseClaim(name, target string) (claim, error) {
	c := claim{name: name}
	protocol, rest, _ := strings.Cut(name, ",")
	port, ip, _ := strings.Cut(rest, ",")
	boot, rest, _ := strings.Cut(target, "/")
	uid, container, _ := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(port, 10, 16)
	m, err2 := strconv.ParseUint(container, 10, 16)
	err = errors.Join(err, err2)
	if ip != anyAddress {
		var err2 error
		c.HostIP, err2 = netip.ParseAddr(ip)
		err = errors.Join(err, err2)
	}
	if err != nil || uid == "" || strings.Contains(uid, "/") {
		return claim{}, fmt.Errorf("claim of a port: link %q to %q is not one", name, target)
	}
	c.Protocol, c.HostPort, c.ContainerPort = Protocol(protocol), uint16(n), uint16(m)
	c.boot, c.uid = boot, uid
	return c, nil
}

func (s *Networks) portsDir() string { return filepath.Join(s.Run, "ports") }

// claims reads all claims. What is not one is nobody's, and in nobody's way.
func (s *Networks) claims() ([]claim, error) {
	dir, err := os.Open(s.portsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	claims := make([]claim, 0, len(names))
	for _, name := range names {
		target, err := os.Readlink(filepath.Join(s.portsDir(), name))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EINVAL) {
			continue // given back meanwhile, or no link
		}
		if err != nil {
			return nil, err
		}
		if c, err := parseClaim(name, target); err == nil {
			claims = append(claims, c)
		}
	}
	return claims, nil
}

// live reports whether the claim is somebody's.
func (s *Networks) live(c claim) bool { return c.boot == s.BootID && s.Live(c.uid) }

// portsOf returns the ports that the pod has claimed in this boot.
func (s *Networks) portsOf(uid string) ([]Port, error) {
	claims, err := s.claims()
	if err != nil {
		return nil, err
	}
	return s.portsIn(claims, uid), nil
}

func (s *Networks) portsIn(claims []claim, uid string) []Port {
	var ports []Port
	for _, c := range claims {
		if c.uid == uid && c.boot == s.BootID {
			ports = append(ports, c.Port)
		}
	}
	return ports
}

// claimPorts makes the ports the pod's, all or none, and returns them with the
// host ports that it chose. What the pod had claimed before is given back, with
// its rules: it is of a try that was cut short. A port that is another pod's or a
// process's is a [PortTakenError]. The caller holds the lock.
func (s *Networks) claimPorts(uid string, ports []Port) (_ []Port, err error) {
	if err := CheckPorts(ports); err != nil {
		return nil, err
	}
	taken, err := s.takenPorts(uid)
	if err != nil || len(ports) == 0 {
		return nil, err
	}
	claimed, err := choosePorts(ports, taken)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.portsDir(), 0o700); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.releasePorts(uid))
		}
	}()
	for _, p := range claimed {
		target := s.BootID + "/" + uid + "/" + strconv.Itoa(int(p.ContainerPort))
		if err := os.Symlink(target, filepath.Join(s.portsDir(), claimName(p))); err != nil {
			return nil, err
		}
	}
	return claimed, nil
}

// takenPorts returns the claims of live pods but the one of that UID. Its own are
// given back, and those of dead pods, rules first: an address or port of theirs
// may be another's next.
func (s *Networks) takenPorts(uid string) (map[transport][]claim, error) {
	claims, err := s.claims()
	if err != nil {
		return nil, err
	}
	taken := map[transport][]claim{}
	gone := map[string][]claim{}
	for _, c := range claims {
		if c.uid != uid && s.live(c) {
			taken[c.transport()] = append(taken[c.transport()], c)
		} else {
			gone[c.uid] = append(gone[c.uid], c)
		}
	}
	for uid, claims := range gone {
		if err := removeElements(uid, s.portsIn(claims, uid)); err != nil {
			return nil, err
		}
		if err := s.release(claims); err != nil {
			return nil, err
		}
	}
	return taken, nil
}

// releasePorts gives back what the pod has claimed, in whichever boot. A pod that
// has no claims is not an error. Its rules are to be removed first.
func (s *Networks) releasePorts(uid string) error {
	claims, err := s.claims()
	if err != nil {
		return err
	}
	return s.release(slices.DeleteFunc(claims, func(c claim) bool { return c.uid != uid }))
}

func (s *Networks) release(claims []claim) error {
	var errs error
	for _, c := range claims {
		err := os.Remove(filepath.Join(s.portsDir(), c.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = errors.Join(errs, err)
		}
	}
	return errs
}

// choosePorts returns ports with a host port each that nobody has.
func choosePorts(ports []Port, taken map[transport][]claim) ([]Port, error) {
	chosen := make([]Port, len(ports))
	for i, p := range ports {
		if p.HostPort == 0 {
			continue
		}
		if err := free(p, taken); err != nil {
			return nil, err
		}
		chosen[i] = p
		taken[p.transport()] = append(taken[p.transport()], claim{Port: p})
	}
	var pool *portPool
	for i, p := range ports {
		if p.HostPort != 0 {
			continue
		}
		if pool == nil {
			var err error
			if pool, err = newPortPool(); err != nil {
				return nil, err
			}
		}
		for {
			var ok bool
			if p.HostPort, ok = pool.next(); !ok {
				return nil, fmt.Errorf("port %q: no host port is free", ports[i])
			}
			err := free(p, taken)
			if err == nil {
				break
			}
			var other *PortTakenError
			if !errors.As(err, &other) {
				return nil, err
			}
		}
		chosen[i] = p
		taken[p.transport()] = append(taken[p.transport()], claim{Port: p})
	}
	return chosen, nil
}

// free returns a [PortTakenError] if the host port is a pod's or a process's.
func free(p Port, taken map[transport][]claim) error {
	for _, c := range taken[p.transport()] {
		if overlap(p.HostIP, c.HostIP) {
			return &PortTakenError{Port: p, UID: c.uid}
		}
	}
	return checkBind(p)
}
