package netsetup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// CNI are the networks of this host that plugins of the Container Network
// Interface make (https://www.cni.dev/docs/spec, 1.1 and older). podrt-cni, a
// program of its own, reads their configurations and executes the plugins: what
// that needs is never part of podrt.
//
// State is what the plugins keep, and CacheDir, which outlives a boot:
//
//	pods/UID              flock: exclusive for a podrt that adds the pod, or takes it out
//	pods/UID/intent.json  what was asked for, and the whole configuration: there before the first plugin is executed
//	pods/UID/results/     libcni's: what the plugins answered
//	pods/UID/leaving      it was begun to take the pod out of its network
//	lock                  flock: shared by who adds, exclusive for who has plugins collect garbage
//
// So [CNI.Del] needs the UID alone, whatever of the pod, its network namespace
// and the network's configuration is left, and wherever an addition was killed.
// The caller must not do two things to one pod at the same time.
//
// Errors that say that a network or pod is not there match [fs.ErrNotExist],
// those of plugins that took too long [context.DeadlineExceeded], and those of
// what a network cannot do [errors.ErrUnsupported].
type CNI struct {
	Program    string        // podrt-cni; where empty, [CNIProgram] finds it
	ConfDirs   []string      // of *.conflist, *.conf and *.json, the first with a name wins; /etc/cni/net.d if none
	BinDirs    []string      // of the plugins; /opt/cni/bin and /usr/lib/cni if none
	CacheDir   string        // /var/lib/podrt/cni if empty
	AddTimeout time.Duration // for all plugins of a network together; 60 s if zero
	DelTimeout time.Duration // likewise, for each other operation; 30 s if zero
}

// CNIAttach says how a pod gets its place in a network of CNI.
type CNIAttach struct {
	UID       string       `json:"uid"`
	Name      string       `json:"name"`      // of the pod
	Namespace string       `json:"namespace"` // in the sense of Kubernetes; may be empty
	Netns     string       `json:"netns"`     // path of the pod's pinned network namespace
	Network   string       `json:"network"`
	IPs       []netip.Addr `json:"ips,omitempty"` // wanted; needs a plugin with the capability "ips"
	MAC       string       `json:"mac,omitempty"` // wanted; needs "mac"
	Ports     []Port       `json:"ports,omitempty"`
	Bandwidth Bandwidth    `json:"bandwidth,omitzero"` // needs "bandwidth"
	DNS       DNS          `json:"dns,omitzero"`       // told to plugins with the capability "dns"
}

// CNINetwork is a network as its configuration describes it.
type CNINetwork struct {
	Name         string   `json:"name"`
	File         string   `json:"file"`
	Version      string   `json:"version"`      // of the specification, as "1.0.0"
	Plugins      []string `json:"plugins"`      // types, in the order in which they add
	Capabilities []string `json:"capabilities"` // that at least one of them declares, sorted
}

// List returns the networks by name. Where files are broken, it returns those
// of the others and an error that names each.
func (c *CNI) List(ctx context.Context) ([]CNINetwork, error) {
	if !c.configured() {
		return nil, nil
	}
	answer, err := c.call(ctx, CNIRequest{Op: CNIList})
	return answer.Networks, err
}

// Find returns the network of that name. A name that two files of one directory
// give is an error.
func (c *CNI) Find(ctx context.Context, name string) (*CNINetwork, error) {
	if err := CheckCNINetwork(name); err != nil {
		return nil, err
	}
	if !c.configured() {
		return nil, fmt.Errorf("network %q of CNI: %w: no configuration in %q", name, fs.ErrNotExist, c.confDirs())
	}
	answer, err := c.call(ctx, CNIRequest{Op: CNIFind, Network: name})
	if err != nil {
		return nil, err
	}
	return &answer.Networks[0], nil
}

// configured reports whether there is anything to read: where CNI is not used,
// podrt-cni is neither needed nor executed.
func (c *CNI) configured() bool {
	for _, dir := range c.confDirs() {
		names, err := readNames(dir)
		if err != nil || slices.ContainsFunc(names, func(name string) bool { return slices.Contains(CNISuffixes(), filepath.Ext(name)) }) {
			return true
		}
	}
	return false
}

// Status returns nil if pods can be attached to the network: its plugins are
// there, know the configuration's version, and, since 1.1, say that they are
// ready.
func (c *CNI) Status(ctx context.Context, name string) error {
	if err := CheckCNINetwork(name); err != nil {
		return err
	}
	_, err := c.call(ctx, CNIRequest{Op: CNIStatus, Network: name})
	return err
}

// Add attaches a pod, as eth0. It returns its place, and what the network says
// of name servers. A wish that no plugin of the network can fulfil is an error
// before any of them is executed; DNS is none. Where plugins fail or take too
// long, what they made is taken back; if that fails too, or ctx ends, the pod
// needs [CNI.Del]. A pod that is attached to this network already stays as it
// is.
func (c *CNI) Add(ctx context.Context, a CNIAttach) (*Interface, DNS, error) {
	if err := a.Check(); err != nil {
		return nil, DNS{}, err
	}
	lock, err := c.lockPod(ctx, a.UID, true)
	if err != nil {
		return nil, DNS{}, err
	}
	defer lock.Close()
	answer, err := c.call(ctx, CNIRequest{Op: CNIAdd, Network: a.Network, UID: a.UID, Attach: &a})
	if err != nil {
		if isAt(lock, lock.Name()) { // else what is there may be another's by now
			_ = os.Remove(lock.Name()) // if it is as empty as it was made
		}
		return nil, DNS{}, err
	}
	return answer.Interface, answer.DNS, nil
}

// Check returns nil if the plugins find the pod attached as they left it.
func (c *CNI) Check(ctx context.Context, uid string) error {
	attached, err := c.attached(uid)
	if err != nil {
		return err
	}
	if !attached {
		return fmt.Errorf("pod %q is in no network of CNI: %w", uid, fs.ErrNotExist)
	}
	_, err = c.call(ctx, CNIRequest{Op: CNICheck, UID: uid})
	return err
}

// Del takes a pod out of its network. It executes nothing if the pod is in none.
// All plugins of the network are executed, whichever of them fail; those that
// failed are executed again by the next call.
func (c *CNI) Del(ctx context.Context, uid string) error {
	if err := CheckCNIPod(uid); err != nil {
		return err
	}
	// A collection of garbage may be at it: podrt-cni would take that for what a
	// killed one has left, and kill it.
	lock, err := c.lockPod(ctx, uid, false)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()
	return c.del(ctx, uid)
}

// del is Del for who has the pod locked.
func (c *CNI) del(ctx context.Context, uid string) error {
	_, err := c.call(ctx, CNIRequest{Op: CNIDel, UID: uid})
	return err
}

// GC takes all pods out of their networks that live does not know. A pod must
// be known to live before it is added.
//
// It also has the plugins of the given networks give back what belongs to no pod
// of this CacheDir, where they speak 1.1. That is for networks that nobody but
// podrt uses: another runtime's pods would lose their addresses.
func (c *CNI) GC(ctx context.Context, live func(uid string) bool, networks ...string) error {
	uids, err := c.pods()
	if err != nil {
		return err
	}
	var errs []error
	for _, uid := range uids {
		if !live(uid) {
			errs = append(errs, c.delGone(ctx, uid, live))
		}
	}
	for _, name := range networks {
		if err := CheckCNINetwork(name); err != nil {
			errs = append(errs, err)
			continue
		}
		_, err := c.call(ctx, CNIRequest{Op: CNIGC, Network: name})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// delGone is Del for a pod that was not there. Should one of its UID be there by
// now, or come in the meantime, nothing of that one is taken away: its addition
// waits, and begins with what is left of the other.
func (c *CNI) delGone(ctx context.Context, uid string, live func(uid string) bool) error {
	lock, err := c.tryLockPod(uid)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()
	if live(uid) {
		return nil
	}
	return c.del(ctx, uid)
}

// pods returns the UIDs of what CacheDir knows, sorted.
func (c *CNI) pods() ([]string, error) {
	entries, err := os.ReadDir(CNIPodDir(c.cacheDir(), ""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var uids []string
	for _, e := range entries {
		if uid := e.Name(); validPod(uid) {
			uids = append(uids, uid)
		}
	}
	return uids, nil
}

// attached reports whether CacheDir knows the pod.
func (c *CNI) attached(uid string) (bool, error) {
	if err := CheckCNIPod(uid); err != nil {
		return false, err
	}
	_, err := os.Lstat(CNIPodDir(c.cacheDir(), uid))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// HasNetns reports whether the network namespace that the pod was attached by is
// still there.
func (c *CNI) HasNetns(uid string) bool {
	text, err := os.ReadFile(filepath.Join(CNIPodDir(c.cacheDir(), uid), "intent.json"))
	var intent struct {
		Attach struct {
			Netns string `json:"netns"`
		} `json:"attach"`
	}
	var st unix.Statfs_t
	return err == nil && json.Unmarshal(text, &intent) == nil &&
		unix.Statfs(intent.Attach.Netns, &st) == nil && st.Type == unix.NSFS_MAGIC
}

// CNIPodDir is the directory of what cacheDir knows of a pod.
func CNIPodDir(cacheDir, uid string) string { return filepath.Join(cacheDir, "pods", uid) }

func (c *CNI) cacheDir() string {
	if c.CacheDir == "" {
		return "/var/lib/podrt/cni"
	}
	return c.CacheDir
}
