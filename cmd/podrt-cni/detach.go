package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/podrt/podrt/netsetup"
)

// del takes a pod out of its network by what is on the disk. What fails is there
// for the next del.
func (h *host) del(ctx context.Context, uid string) error {
	if err := h.empty(ctx, uid); err != nil {
		return err
	}
	return h.remove(uid)
}

// empty is del but for the pod's directory, which stays for who has it locked.
func (h *host) empty(ctx context.Context, uid string) error {
	i, err := h.readIntent(uid)
	if errors.Is(err, fs.ErrNotExist) {
		return h.clear(uid)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.DelTimeout)
	defer cancel()
	if err := h.delPlugins(ctx, i); err != nil {
		return fmt.Errorf("take pod %q out of CNI network %q: %w", uid, i.Attach.Network, err)
	}
	return h.clear(uid)
}

// delPlugins executes the plugins with DEL, last to first, and each of them
// whichever fail. libcni's own DelNetworkList ends with the first that fails, so
// that what the others made would stay for as long as that one is broken.
func (h *host) delPlugins(ctx context.Context, i *intent) error {
	list, err := i.list()
	if err != nil {
		return err
	}
	rt, err := i.runtimeConf(list)
	if err != nil {
		return err
	}
	result := h.lastResult(list, rt)
	if result == nil || h.leave(i.Attach.UID) {
		// Who was at it, and is not done, may have left processes that still are.
		if err := killLeftovers(ctx, i.Attach.UID); err != nil {
			return err
		}
	}
	// Since the pod was attached, plugins may have moved.
	h.usePlugins(i.BinDirs)
	var errs []error
	for n, p := range slices.Backward(list.Plugins) {
		// Each has its share of what time is left.
		end, _ := ctx.Deadline()
		own, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(n+1))
		if err := h.delPlugin(own, list, p, rt, result); err != nil && (result != nil || !refusedVersion(err)) {
			errs = append(errs, fmt.Errorf("plugin %q failed to delete: %w", p.Network.Type, err))
		}
		cancel()
	}
	return errors.Join(errs...)
}

// leaving is the file in a pod's directory that says that it was begun to take it
// out of its network.
func (h *host) leaving(uid string) string {
	return filepath.Join(netsetup.CNIPodDir(h.CacheDir, uid), "leaving")
}

// leave notes that a pod leaves its network, and reports whether that was begun
// before. What cannot be noted, as on a full disk, may have been.
func (h *host) leave(uid string) (again bool) {
	f, err := os.OpenFile(h.leaving(uid), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return true
	}
	f.Close()
	return false
}

// refusedVersion reports whether a plugin does not know the version of its
// configuration. It has refused ADD too, then, and made nothing.
func refusedVersion(err error) bool {
	var said *types.Error
	return errors.As(err, &said) && said.Code == types.ErrIncompatibleCNIVersion
}

// lastResult returns what the plugins answered to ADD, as they are told since
// 0.4.0; none if they did not all succeed, or it was written by half.
func (h *host) lastResult(list *libcni.NetworkConfigList, rt *libcni.RuntimeConf) types.Result {
	result, err := h.cni.GetNetworkListCachedResult(list, rt)
	if err != nil {
		return nil
	}
	return result
}

func (h *host) delPlugin(ctx context.Context, list *libcni.NetworkConfigList, p *libcni.PluginConfig, rt *libcni.RuntimeConf, result types.Result) error {
	values := map[string]any{"name": list.Name, "cniVersion": list.CNIVersion}
	if told, err := cniversion.GreaterThanOrEqualTo(list.CNIVersion, "0.4.0"); err == nil && told && result != nil {
		values["prevResult"] = result
	}
	args := map[string]any{}
	for name, has := range p.Network.Capabilities {
		if value, wanted := rt.CapabilityArgs[name]; has && wanted {
			args[name] = value
		}
	}
	if len(args) > 0 {
		values["runtimeConfig"] = args
	}
	conf, err := libcni.InjectConf(p, values)
	if err != nil {
		return err
	}
	path, err := h.plugins.FindInPath(p.Network.Type, h.BinDirs)
	if err != nil {
		return err
	}
	return invoke.ExecPluginWithoutResult(ctx, path, conf.Bytes, &invoke.Args{
		Command: "DEL", ContainerID: rt.ContainerID, NetNS: rt.NetNS, PluginArgs: rt.Args, IfName: rt.IfName,
		Path: strings.Join(h.BinDirs, string(os.PathListSeparator)),
	}, h.plugins)
}
