package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
)

// intentVersion is the version of [intent].
const intentVersion = 1

// intent is what a file in netsetup.CNIPodDir holds: all that DEL needs, from before the
// first plugin is executed until the last one has succeeded with DEL.
type intent struct {
	Version int                `json:"version"`
	Attach  netsetup.CNIAttach `json:"attach"`
	File    string             `json:"file"`    // where the configuration was found
	Config  json.RawMessage    `json:"config"`  // as it was then, with all of its plugins
	BinDirs []string           `json:"binDirs"` // where plugins were looked for
	BootID  string             `json:"bootID"`
	Netns   netnsID            `json:"netns"` // of Attach.Netns in that boot
}

// newIntent looks at what a pod is to be attached with.
func (h *host) newIntent(a netsetup.CNIAttach, c config) (*intent, error) {
	netns, err := identify(a.Netns)
	if err != nil {
		return nil, fmt.Errorf("network namespace of pod %q: %w", a.UID, err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	return &intent{
		Version: intentVersion, Attach: a, File: c.file, Config: c.list.Bytes,
		BinDirs: h.BinDirs, BootID: boot, Netns: netns,
	}, nil
}

// write puts the intent on the disk. It gets there before what plugins write.
func (h *host) write(i *intent) error {
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	path := h.intentFile(i.Attach.UID)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temp := path + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, h.clear(i.Attach.UID))
	}
	return nil
}

// intentFile is the path of an intent.
func (h *host) intentFile(uid string) string {
	return filepath.Join(netsetup.CNIPodDir(h.CacheDir, uid), "intent.json")
}

// readIntent returns what is on the disk of a pod.
func (h *host) readIntent(uid string) (*intent, error) {
	path := h.intentFile(uid)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pod %q is in no network of CNI: %w", uid, err)
	}
	if err != nil {
		return nil, err
	}
	i := &intent{}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(i); err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	if i.Version != intentVersion {
		return nil, fmt.Errorf("read %q: version %d; this program knows %d", path, i.Version, intentVersion)
	}
	if err := i.Attach.Check(); err != nil || i.Attach.UID != uid {
		return nil, fmt.Errorf("read %q: it is of pod %q: %w", path, i.Attach.UID, err)
	}
	return i, nil
}

// readIntents returns those of all pods.
func (h *host) readIntents() ([]*intent, error) {
	entries, err := os.ReadDir(netsetup.CNIPodDir(h.CacheDir, ""))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []*intent
	for _, e := range entries {
		i, err := h.readIntent(e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // not yet there, or deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return all, nil
}

// clear removes what is in the directory of a pod. If it is killed, DEL is done
// again, or only the rest is removed.
func (h *host) clear(uid string) error {
	dir := netsetup.CNIPodDir(h.CacheDir, uid)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return errors.Join(errs...)
}

// remove is the end of a pod's attachment, of which nothing is left but the
// directory.
func (h *host) remove(uid string) error {
	err := os.Remove(netsetup.CNIPodDir(h.CacheDir, uid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// list returns the network as it was when the pod was attached.
func (i *intent) list() (*libcni.NetworkConfigList, error) {
	list, err := parseList(i.Config)
	if err != nil {
		return nil, fmt.Errorf("configuration of CNI network %q, kept for pod %q: %w", i.Attach.Network, i.Attach.UID, err)
	}
	return list, nil
}

// runtimeConf returns the arguments of plugins. The network namespace is empty if
// it is gone, as the specification wants it.
func (i *intent) runtimeConf(list *libcni.NetworkConfigList) (*libcni.RuntimeConf, error) {
	args, err := capabilityArgs(list, i.Attach)
	if err != nil {
		return nil, err
	}
	return &libcni.RuntimeConf{
		ContainerID: i.Attach.UID, NetNS: i.netns(), IfName: ifName,
		Args: cniArgs(i.Attach), CapabilityArgs: args,
	}, nil
}

// netns returns the path of the pod's network namespace, and none if something
// else is there by now.
func (i *intent) netns() string {
	boot, err := bootID()
	if err != nil || boot != i.BootID {
		return ""
	}
	if netns, err := identify(i.Attach.Netns); err != nil || netns != i.Netns {
		return ""
	}
	return i.Attach.Netns
}

func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}
