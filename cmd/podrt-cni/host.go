package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
)

// ifName is the name that a pod's interface gets.
const ifName = "eth0"

// host is this host's configuration and plugins, as a request names them.
type host struct {
	netsetup.CNIRequest
	cni     *libcni.CNIConfig
	plugins *executor
}

func newHost(r netsetup.CNIRequest) *host {
	// libcni calls its files NETWORK-UID-IFNAME: two pods must not share a directory.
	// Where it is for no pod, there is none.
	dir := r.CacheDir
	if r.UID != "" {
		dir = netsetup.CNIPodDir(r.CacheDir, r.UID)
	}
	h := &host{CNIRequest: r, plugins: &executor{uid: r.UID}}
	h.cni = libcni.NewCNIConfigWithCacheDir(r.BinDirs, dir, h.plugins)
	return h
}

// usePlugins has plugins also looked for in dirs, after those of the request.
func (h *host) usePlugins(dirs []string) {
	for _, dir := range dirs {
		if !slices.Contains(h.BinDirs, dir) {
			h.BinDirs = append(h.BinDirs, dir)
		}
	}
	h.cni.Path = h.BinDirs
}

func (h *host) list() ([]netsetup.CNINetwork, error) {
	configs, err := readConfigs(h.ConfDirs)
	networks := make([]netsetup.CNINetwork, len(configs))
	for i, c := range configs {
		networks[i] = c.describe()
	}
	return networks, err
}

func (h *host) find(name string) ([]netsetup.CNINetwork, error) {
	c, err := findConfig(h.ConfDirs, name)
	if err != nil {
		return nil, err
	}
	return []netsetup.CNINetwork{c.describe()}, nil
}

func (h *host) status(ctx context.Context, name string) error {
	c, err := findConfig(h.ConfDirs, name)
	if err != nil {
		return err
	}
	if err := c.checkPlugins(h.BinDirs); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.DelTimeout)
	defer cancel()
	if _, err = h.cni.ValidateNetworkList(ctx, c.list); err == nil {
		err = h.cni.GetStatusNetworkList(ctx, c.list) // says nothing before 1.1
	}
	if err != nil {
		return fmt.Errorf("CNI network %q is not ready: %w", name, err)
	}
	return nil
}

func (h *host) check(ctx context.Context, uid string) error {
	i, err := h.readIntent(uid)
	if err != nil {
		return err
	}
	list, err := i.list()
	if err != nil {
		return err
	}
	rt, err := i.runtimeConf(list)
	if err != nil {
		return err
	}
	if rt.NetNS == "" {
		return fmt.Errorf("check CNI network %q of pod %q: the network namespace %q is not there, or is another one", list.Name, uid, i.Attach.Netns)
	}
	h.usePlugins(i.BinDirs)
	ctx, cancel := context.WithTimeout(ctx, h.DelTimeout)
	defer cancel()
	if result, err := h.cni.GetNetworkListCachedResult(list, rt); err != nil || result == nil {
		return fmt.Errorf("check CNI network %q of pod %q: it was not attached wholly: %w", list.Name, uid, errors.Join(err, os.ErrNotExist))
	}
	err = h.cni.CheckNetworkList(ctx, list, rt)
	if errors.Is(err, libcni.ErrorCheckNotSupp) {
		err = errors.Join(err, errors.ErrUnsupported)
	}
	if err != nil {
		return fmt.Errorf("check CNI network %q of pod %q: %w", list.Name, uid, err)
	}
	return nil
}

// gc has a network's plugins give back what is no pod's in the cache directory. No
// pod is added meanwhile.
func (h *host) gc(ctx context.Context, name string) error {
	c, err := findConfig(h.ConfDirs, name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.DelTimeout)
	defer cancel()
	lock, err := h.lock(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer lock.Close()
	intents, err := h.readIntents()
	if err != nil {
		return err // what is not known to be valid would be given back
	}
	valid := []types.GCAttachment{}
	for _, i := range intents {
		if i.Attach.Network == name {
			valid = append(valid, types.GCAttachment{ContainerID: i.Attach.UID, IfName: ifName})
		}
	}
	if err := h.cni.GCNetworkList(ctx, c.list, &libcni.GCArgs{ValidAttachments: valid}); err != nil {
		return fmt.Errorf("collect garbage of CNI network %q: %w", name, err)
	}
	return nil
}

// lock locks the cache directory, as flock(2) says, until the file is closed.
func (h *host) lock(ctx context.Context, how int) (*os.File, error) {
	if err := os.MkdirAll(h.CacheDir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(h.CacheDir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		for {
			err := unix.Flock(int(f.Fd()), how)
			if !errors.Is(err, unix.EINTR) {
				done <- err
				return
			}
		}
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		// This process ends soon, and with it the wait.
		return nil, fmt.Errorf("lock %q: %w", path, ctx.Err())
	}
	if err != nil {
		f.Close()
		return nil, &os.PathError{Op: "flock", Path: path, Err: err}
	}
	return f, nil
}
