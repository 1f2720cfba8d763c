package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netsetup"
)

// place is where a pod is in a network.
type place struct {
	link *netsetup.Interface
	dns  netsetup.DNS
}

// add attaches a pod. If it fails, it takes back what it made.
func (h *host) add(ctx context.Context, a netsetup.CNIAttach) (place, error) {
	// What comes first touches nothing.
	c, err := findConfig(h.ConfDirs, a.Network)
	if err != nil {
		return place{}, err
	}
	if err := c.checkPlugins(h.BinDirs); err != nil {
		return place{}, err
	}
	if _, err := capabilityArgs(c.list, a); err != nil {
		return place{}, err
	}
	i, err := h.newIntent(a, c)
	if err != nil {
		return place{}, err
	}
	if p, err := h.earlier(ctx, i); err != nil || p.link != nil {
		return p, err
	}
	limited, cancel := context.WithTimeout(ctx, h.AddTimeout)
	defer cancel()
	lock, err := h.lock(limited, unix.LOCK_SH)
	if err != nil {
		return place{}, err
	}
	defer lock.Close()
	if err := h.write(i); err != nil {
		return place{}, fmt.Errorf("record pod %q for CNI network %q: %w", a.UID, a.Network, err)
	}
	p, err := h.addPlugins(limited, i)
	if err == nil {
		return p, nil
	}
	err = fmt.Errorf("attach pod %q to CNI network %q: %w", a.UID, a.Network, err)
	// It has time of its own, and is done after a signal too.
	return place{}, errors.Join(err, h.del(context.WithoutCancel(ctx), a.UID))
}

// earlier returns the place that the pod has in this network already, and takes
// back what an addition or a removal that was killed has left. None is the zero
// place.
func (h *host) earlier(ctx context.Context, i *intent) (place, error) {
	old, err := h.readIntent(i.Attach.UID)
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, h.clear(i.Attach.UID) // the rest of a removal, which is not this one's
	}
	if err != nil {
		return place{}, err
	}
	list, err := old.list()
	if err != nil {
		return place{}, err
	}
	rt, err := old.runtimeConf(list)
	if err != nil {
		return place{}, err
	}
	if old.Attach.Network == i.Attach.Network && rt.NetNS == i.Attach.Netns && old.Netns == i.Netns {
		_, leaving := os.Lstat(h.leaving(i.Attach.UID))
		if result, err := h.cni.GetNetworkListCachedResult(list, rt); err == nil && result != nil && errors.Is(leaving, fs.ErrNotExist) {
			return newPlace(old, result)
		}
	}
	return place{}, h.empty(ctx, i.Attach.UID)
}

// addPlugins executes the plugins with ADD.
func (h *host) addPlugins(ctx context.Context, i *intent) (place, error) {
	list, err := i.list()
	if err != nil {
		return place{}, err
	}
	rt, err := i.runtimeConf(list)
	if err != nil {
		return place{}, err
	}
	result, err := h.cni.AddNetworkList(ctx, list, rt)
	if err != nil {
		return place{}, err
	}
	return newPlace(i, result)
}
