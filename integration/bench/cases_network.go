package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// networkCase makes a pod with a place in a bridge network and a published port,
// and removes it, by all who can: podrt in process, podrt by CNI's plugins, the
// plugins and netavark executed alone, in a network namespace that is there
// already, and podman with either. Alone they are the least that any caller of
// theirs pays; they make no pod.
//
// With another pod in each network, bridge and rules that are common are there
// already. Without, whoever removes them with the last pod makes them anew; the
// plugins never do.
func networkCase(name string, beside bool) testCase {
	about := "a pod with bridge and port, up and down, alone in its network"
	if beside {
		about = "a pod with bridge and port, up and down, beside another"
	}
	return testCase{name: name, about: about, slow: 2, setup: func(l *lab) (st stage, err error) {
		n := &networkLab{lab: l, beside: beside}
		st.done = n.close
		if err := n.configure(); err != nil {
			return st, err
		}
		for _, t := range l.podrts() {
			if err := n.podrt(&st, t, t.Name, "bridge"); err != nil {
				return st, err
			}
		}
		for _, t := range l.podrts()[:1] {
			if err := n.podrt(&st, t, t.Name+", CNI", cniNetwork); err != nil {
				return st, err
			}
		}
		n.optional(&st, "CNI's plugins alone", n.plugins)
		n.optional(&st, "netavark alone", n.netavark)
		n.podmans(&st)
		return st, nil
	}}
}

// The CNI network of the case, whose bridge the plugin never removes.
const (
	cniNetwork = "bench"
	cniBridge  = "cni-bench0"
	cniConfDir = "/etc/cni/net.d"
	cniBinDir  = "/usr/lib/cni"
)

// networkLab is what a case of the network sets up.
type networkLab struct {
	*lab
	beside bool
	dir    string
	undo   []func() error
	ports  int
}

func (n *networkLab) close() error {
	var errs []error
	for i := len(n.undo) - 1; i >= 0; i-- {
		errs = append(errs, n.undo[i]())
	}
	return errors.Join(errs...)
}

func (n *networkLab) atEnd(undo func() error) { n.undo = append(n.undo, undo) }

// configure puts a configuration of CNI's where everybody looks for it.
func (n *networkLab) configure() error {
	n.dir = filepath.Join(n.lab.dir, "network-"+strconv.FormatBool(n.beside))
	conf := filepath.Join(n.dir, "net.d")
	if err := os.MkdirAll(conf, 0o755); err != nil {
		return err
	}
	text := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": %q, "plugins": [%s, %s]}`, cniNetwork,
		pluginConf("bridge", bridgeConf), pluginConf("portmap", portmapConf))
	if err := os.WriteFile(filepath.Join(conf, "10-bench.conflist"), []byte(text), 0o644); err != nil {
		return err
	}
	// On the rung, nobody else sees it.
	if err := os.MkdirAll(cniConfDir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(conf, cniConfDir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %q on %q: %w", conf, cniConfDir, err)
	}
	n.atEnd(func() error { return unix.Unmount(cniConfDir, unix.MNT_DETACH) })
	n.atEnd(func() error { return n.ip("link", "del", cniBridge) })
	return nil
}

// hostPort is one that no other subject has.
func (n *networkLab) hostPort() string {
	n.ports++
	return strconv.Itoa(18000 + n.ports)
}

// podrt adds podrt with a network.
func (n *networkLab) podrt(st *stage, t *tool, name, network string) error {
	pod := func(name string) command {
		return t.do("pod", "create", "--network", network, "--publish", n.hostPort()+":80", name)
	}
	if n.beside {
		if _, err := n.inTurn(pod("neighbour-" + network)); err != nil {
			return err
		}
		n.atEnd(func() error {
			_, err := n.inTurn(t.do("pod", "rm", "neighbour-"+network))
			return err
		})
	}
	up := pod("network")
	st.subjects = append(st.subjects, subject{name, func() ([]lap, error) {
		return n.upAndDown(up, t.do("pod", "rm", "network"))
	}})
	return nil
}

// optional adds a peer; where it is missing, its first attempt says so.
func (n *networkLab) optional(st *stage, name string, set func(*stage, string) error) {
	if err := set(st, name); err != nil {
		st.subjects = append(st.subjects, subject{name, func() ([]lap, error) { return nil, err }})
	}
}

// netns makes a network namespace, for those who want one that is there.
func (n *networkLab) netns(name string) (string, error) {
	if err := n.ip("netns", "add", name); err != nil {
		return "", err
	}
	n.atEnd(func() error { return n.ip("netns", "del", name) })
	return "/run/netns/" + name, nil
}

func (n *networkLab) ip(args ...string) error {
	_, err := n.inTurn(command{path: "/usr/sbin/ip", args: args})
	return err
}
