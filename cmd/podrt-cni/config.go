package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	cniversion "github.com/containernetworking/cni/pkg/version"

	"github.com/podrt/podrt/netsetup"
)

// config is a network as files configure it.
type config struct {
	file string
	list *libcni.NetworkConfigList // Bytes has all of the plugins, wherever they were
}

// readConfigs returns the networks of the directories, sorted by name; the first
// directory with a name wins. Those that are broken are named in the error.
func readConfigs(dirs []string) ([]config, error) {
	byName := map[string]config{}
	var broken []error
	for _, dir := range dirs {
		configs, errs := readDir(dir)
		broken = append(broken, errs...)
		here := map[string][]string{}
		for _, c := range configs {
			here[c.list.Name] = append(here[c.list.Name], c.file)
		}
		for _, c := range configs {
			name := c.list.Name
			files := here[name]
			switch _, earlier := byName[name]; {
			case earlier:
			case len(files) == 1:
				byName[name] = c
			case files[0] == c.file:
				broken = append(broken, twice(name, files))
			}
		}
	}
	sorted := slices.Collect(maps.Values(byName))
	slices.SortFunc(sorted, func(a, b config) int { return strings.Compare(a.list.Name, b.list.Name) })
	return sorted, errors.Join(broken...)
}

// findConfig returns the network of that name. Files that have nothing to do with
// it may be broken, unless it is not found.
func findConfig(dirs []string, name string) (config, error) {
	var broken []error
	for _, dir := range dirs {
		configs, errs := readDir(dir)
		broken = append(broken, errs...)
		var found []config
		var files []string
		for _, c := range configs {
			if c.list.Name == name {
				found, files = append(found, c), append(files, c.file)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return config{}, twice(name, files)
		}
	}
	return config{}, errors.Join(fmt.Errorf("no network %q is configured for CNI in %q: %w", name, dirs, fs.ErrNotExist), errors.Join(broken...))
}

func twice(name string, files []string) error {
	return fmt.Errorf("CNI network %q is configured more than once: in %q", name, files)
}

// readDir returns the networks of the files of one directory, in the order of
// their names. One that does not exist has none.
func readDir(dir string) (configs []config, broken []error) {
	files, err := libcni.ConfFiles(dir, netsetup.CNISuffixes())
	if err != nil {
		return nil, []error{err}
	}
	slices.Sort(files)
	for _, file := range files {
		list, err := readConfig(file)
		if err != nil {
			broken = append(broken, fmt.Errorf("CNI configuration %q: %w", file, err))
			continue
		}
		configs = append(configs, config{file: file, list: list})
	}
	return configs, broken
}

// maxConfig is more bytes than any configuration has.
const maxConfig = 1 << 20

// readConfig reads a list of plugins, or, as before 0.3.0, a single one.
func readConfig(file string) (*libcni.NetworkConfigList, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is the caller's to say
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfig {
		return nil, fmt.Errorf("more than %d bytes", maxConfig)
	}
	var shape struct {
		Name    string            `json:"name"`
		Plugins []json.RawMessage `json:"plugins"`
		Type    string            `json:"type"`
	}
	if err := json.Unmarshal(text, &shape); err != nil {
		return nil, err
	}
	// libcni looks for further plugins in a directory of that name.
	if err := netsetup.CheckCNINetwork(shape.Name); err != nil {
		return nil, err
	}
	if filepath.Ext(file) != ".conflist" && shape.Plugins == nil {
		single, err := libcni.NetworkPluginConfFromBytes(text)
		if err != nil {
			return nil, err
		}
		if text, err = json.Marshal(map[string]any{
			"name": shape.Name, "cniVersion": single.Network.CNIVersion, "plugins": []json.RawMessage{text},
		}); err != nil {
			return nil, err
		}
		return parseList(text)
	}
	list, err := libcni.NetworkConfFromBytes(text)
	if err != nil {
		return nil, err
	}
	if !list.LoadOnlyInlinedPlugins { // since 1.1: more in files of their own
		more, err := libcni.NetworkPluginConfsFromFiles(filepath.Dir(file), list.Name)
		if err != nil {
			return nil, err
		}
		list.Plugins = append(list.Plugins, more...)
	}
	return inline(text, list.Plugins)
}

// inline returns the list of text with these plugins.
func inline(text []byte, plugins []*libcni.PluginConfig) (*libcni.NetworkConfigList, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	all := make([]json.RawMessage, len(plugins))
	for i, p := range plugins {
		all[i] = p.Bytes
	}
	var err error
	if fields["plugins"], err = json.Marshal(all); err != nil {
		return nil, err
	}
	fields["loadOnlyInlinedPlugins"] = json.RawMessage("true")
	if text, err = json.Marshal(fields); err != nil {
		return nil, err
	}
	return parseList(text)
}

// parseList reads a list that has all of its plugins.
func parseList(text []byte) (*libcni.NetworkConfigList, error) {
	list, err := libcni.NetworkConfFromBytes(text)
	if err != nil {
		return nil, err
	}
	if len(list.Plugins) == 0 {
		return nil, errors.New("there are no plugins")
	}
	newer, err := cniversion.GreaterThan(list.CNIVersion, cniversion.Current())
	if err != nil {
		return nil, fmt.Errorf("cniVersion: %w", err)
	}
	if newer {
		return nil, fmt.Errorf("cniVersion %q is newer than %q, which is the last known here", list.CNIVersion, cniversion.Current())
	}
	return list, nil
}

func (c config) describe() netsetup.CNINetwork {
	n := netsetup.CNINetwork{Name: c.list.Name, File: c.file, Version: c.list.CNIVersion, Capabilities: capabilities(c.list)}
	for _, p := range c.list.Plugins {
		n.Plugins = append(n.Plugins, p.Network.Type)
	}
	return n
}

// checkPlugins reports the plugins that are not in the directories, those that
// plugins have do their address management included.
func (c config) checkPlugins(dirs []string) error {
	var missing []error
	for _, p := range c.list.Plugins {
		for _, plugin := range []string{p.Network.Type, p.Network.IPAM.Type} {
			if plugin == "" {
				continue
			}
			if _, err := invoke.FindInPath(plugin, dirs); err != nil {
				missing = append(missing, fmt.Errorf("CNI network %q (%s): there is no plugin %q in %q: %w", c.list.Name, c.file, plugin, dirs, fs.ErrNotExist))
			}
		}
	}
	return errors.Join(missing...)
}
