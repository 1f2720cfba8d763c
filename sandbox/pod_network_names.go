package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/podrt/podrt/netsetup"
)

// tellNames writes into the hosts file of each pod of a network what the others
// are called. The error is that of the pod uid, if there is one, or of everybody: a
// container can keep its own hosts file from being written, and with it no other pod
// from coming and going. "podrt network reload" tells of each.
func (s *Store) tellNames(nets *netsetup.Networks, network, uid string) error {
	return nets.WithMembers(network, func(members []netsetup.Member) error {
		var errs []error
		note := func(of string, err error) {
			if err != nil && (uid == of || uid == everybody) {
				errs = append(errs, err)
			}
		}
		for _, m := range members {
			p := &Pod{store: s, dir: s.podDir(m.UID), rec: podRecord{UID: m.UID}}
			joiners, err := p.joiners()
			note(m.UID, err)
			for _, to := range append(joiners, m.UID) {
				p := &Pod{store: s, rec: podRecord{UID: to}}
				note(to, netsetup.WriteNames(p.filesDir(), m.UID, members))
			}
		}
		return errors.Join(errs...)
	})
}

// everybody is no pod's UID.
const everybody = "*"

// announce lets the other pods of its network find the pod by name, and it them.
func (p *Pod) announce() error {
	owner := p
	if p.rec.JoinsNet != "" {
		var err error
		if owner, err = p.store.load(p.rec.JoinsNet); err != nil {
			return ignoreNotExist(err) // removed by force
		}
	}
	if n := owner.rec.Network; n == nil || !n.Names {
		return nil
	}
	nets, err := p.store.networks()
	if err != nil {
		return err
	}
	return p.store.tellNames(nets, owner.rec.Spec.Network.Mode, p.UID())
}

// joinersDir holds a file for each pod that has joined this one's network.
func (p *Pod) joinersDir() string { return filepath.Join(p.dir, "joiners") }

func (p *Pod) addJoiner(uid string) error {
	if err := os.Mkdir(p.joinersDir(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.WriteFile(filepath.Join(p.joinersDir(), uid), nil, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

func (p *Pod) joiners() ([]string, error) {
	dir, err := os.Open(p.joinersDir())
	if err != nil {
		return nil, ignoreNotExist(err)
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// leaveJoined takes the pod off those that have joined another one's network.
func (p *Pod) leaveJoined() error {
	if p.rec.JoinsNet == "" {
		return nil
	}
	target := &Pod{dir: p.store.podDir(p.rec.JoinsNet)}
	return ignoreNotExist(os.Remove(filepath.Join(target.joinersDir(), p.UID())))
}

// HostDNS returns what resolv.conf of the host says, for pods on its network and for
// pods with one of their own.
func HostDNS() (host, own PodDNS, err error) {
	onHost, elsewhere, err := netsetup.HostDNS()
	return PodDNS(onHost), PodDNS(elsewhere), err
}
