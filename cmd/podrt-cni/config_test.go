package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/podrt/podrt/netsetup"
)

// goodList is a list of two plugins.
const goodList = `{"cniVersion":"1.0.0","name":"good","plugins":[
	{"type":"bridge","ipam":{"type":"host-local"},"capabilities":{"ips":true,"mac":false}},
	{"type":"portmap","capabilities":{"portMappings":true}}]}`

func TestConfigs(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"10-good.conflist":    goodList,
		"20-single.conf":      `{"cniVersion":"0.4.0","name":"single","type":"ptp"}`,
		"30-list.json":        `{"cniVersion":"0.3.1","name":"list","plugins":[{"type":"macvlan"}]}`,
		"40-many.conflist":    `{"cniVersion":"0.4.0","cniVersions":["1.0.0","1.1.0","9.0.0"],"name":"many","plugins":[{"type":"a"}]}`,
		"50-dir.conflist":     `{"cniVersion":"1.1.0","name":"dir"}`,
		"dir/10.conf":         `{"type":"first"}`,
		"dir/20.conf":         `{"type":"second","capabilities":{"dns":true}}`,
		"dir/30.json":         `{"type":"other"}`,
		"60-broken.conflist":  `{"cniVersion":`,
		"61-noname.conflist":  `{"cniVersion":"1.0.0","plugins":[{"type":"a"}]}`,
		"62-slash.conflist":   `{"cniVersion":"1.0.0","name":"../dir","plugins":[{"type":"a"}]}`,
		"63-empty.conflist":   `{"cniVersion":"1.0.0","name":"empty","plugins":[]}`,
		"64-notype.conflist":  `{"cniVersion":"1.0.0","name":"notype","plugins":[{"bridge":"a"}]}`,
		"65-newer.conflist":   `{"cniVersion":"2.0.0","name":"newer","plugins":[{"type":"a"}]}`,
		"66-noplugin.conf":    `{"cniVersion":"1.0.0","name":"noplugin"}`,
		"67-version.conf":     `{"cniVersion":"one","name":"version","type":"a"}`,
		"68-array.json":       `[]`,
		"69-long.conf":        `{"cniVersion":"1.0.0","name":"` + strings.Repeat("n", 101) + `","type":"a"}`,
		"70-large.conf":       `{"name":"` + strings.Repeat("n", maxConfig) + `"}`,
		"80-twice.conflist":   `{"cniVersion":"1.0.0","name":"twice","plugins":[{"type":"a"}]}`,
		"81-twice.conf":       `{"cniVersion":"1.0.0","name":"twice","type":"b"}`,
		"ignored.txt":         `{`,
		"90-dir.conf/ignored": "",
	} {
		mustWrite(t, filepath.Join(dir, name), text)
	}
	second := t.TempDir()
	mustWrite(t, filepath.Join(second, "good.conf"), `{"cniVersion":"1.0.0","name":"good","type":"hidden"}`)
	mustWrite(t, filepath.Join(second, "more.conf"), `{"name":"more","type":"old"}`)
	dirs := []string{dir, second, filepath.Join(dir, "nowhere")}

	at := func(name string) string { return filepath.Join(dir, name) }
	want := []netsetup.CNINetwork{
		{Name: "dir", File: at("50-dir.conflist"), Version: "1.1.0", Plugins: []string{"first", "second"}, Capabilities: []string{"dns"}},
		{Name: "good", File: at("10-good.conflist"), Version: "1.0.0", Plugins: []string{"bridge", "portmap"}, Capabilities: []string{"ips", "portMappings"}},
		{Name: "list", File: at("30-list.json"), Version: "0.3.1", Plugins: []string{"macvlan"}, Capabilities: []string{}},
		{Name: "many", File: at("40-many.conflist"), Version: "1.1.0", Plugins: []string{"a"}, Capabilities: []string{}},
		{Name: "more", File: filepath.Join(second, "more.conf"), Version: "", Plugins: []string{"old"}, Capabilities: []string{}},
		{Name: "single", File: at("20-single.conf"), Version: "0.4.0", Plugins: []string{"ptp"}, Capabilities: []string{}},
	}
	h := &host{CNIRequest: netsetup.CNIRequest{ConfDirs: dirs}}
	got, err := h.list()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("networks:\n%+v\nwant\n%+v", got, want)
	}
	wantError(t, err,
		`"`+at("60-broken.conflist")+`": unexpected end of JSON input`,
		`61-noname.conflist": CNI network "": a name must match`,
		`62-slash.conflist": CNI network "../dir": a name must match`,
		`63-empty.conflist": error parsing configuration list: no plugins in list`,
		`64-notype.conflist": failed to parse plugin config 0: error parsing configuration: missing 'type'`,
		`65-newer.conflist": cniVersion "2.0.0" is newer than "1.1.0", which is the last known here`,
		`66-noplugin.conf": error parsing configuration: missing 'type'`,
		`67-version.conf": cniVersion: `,
		`68-array.json": json: cannot unmarshal array`,
		`69-long.conf": CNI network "nnn`,
		`70-large.conf": more than 1048576 bytes`,
		`CNI network "twice" is configured more than once: in ["`+at("80-twice.conflist")+`" "`+at("81-twice.conf")+`"]`,
	)
	if n := strings.Count(err.Error(), "\n") + 1; n != 12 {
		t.Errorf("%d errors; want 12:\n%v", n, err)
	}

	for _, n := range want {
		if found, err := h.find(n.Name); err != nil || !reflect.DeepEqual(found[0], n) {
			t.Errorf("find %q = %+v, %v; want %+v", n.Name, found, err, n)
		}
	}
	_, err = h.find("twice")
	wantError(t, err, `CNI network "twice" is configured more than once`)
	_, err = h.find("newer")
	wantError(t, err, `no network "newer" is configured for CNI in [`, `65-newer.conflist": cniVersion "2.0.0" is newer`)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v is not fs.ErrNotExist", err)
	}
}

// What is kept of a configuration has the plugins that other files hold, and what
// libcni does not know.
func TestConfigInline(t *testing.T) {
	dir := t.TempDir()
	mustWrite(t, filepath.Join(dir, "n.conflist"), `{"cniVersion":"1.1.0","name":"n","extra":7,"disableGC":true,"plugins":[{"type":"a","x":{"y":1}}]}`)
	mustWrite(t, filepath.Join(dir, "n/b.conf"), `{"type":"b"}`)
	c, err := findConfig([]string{dir}, "n")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"cniVersion":"1.1.0","disableGC":true,"extra":7,"loadOnlyInlinedPlugins":true,"name":"n","plugins":[{"type":"a","x":{"y":1}},{"type":"b"}]}`
	if got := string(c.list.Bytes); got != want {
		t.Errorf("kept configuration\n%s\nwant\n%s", got, want)
	}
	list, err := (&intent{Config: json.RawMessage(c.list.Bytes)}).list()
	if err != nil || len(list.Plugins) != 2 || !list.DisableGC || list.CNIVersion != "1.1.0" {
		t.Errorf("read again: %+v, %v", list, err)
	}
}

func TestCheckPlugins(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	mustWrite(t, filepath.Join(dir, "good.conflist"), goodList)
	mustWrite(t, filepath.Join(bin, "bridge"), "")
	c, err := findConfig([]string{dir}, "good")
	if err != nil {
		t.Fatal(err)
	}
	err = c.checkPlugins([]string{"/nowhere", bin})
	wantError(t, err,
		`CNI network "good" (`+c.file+`): there is no plugin "host-local" in ["/nowhere" "`+bin+`"]`,
		`there is no plugin "portmap"`)
	if strings.Contains(err.Error(), `"bridge"`) {
		t.Errorf("error %v names a plugin that is there", err)
	}
	mustWrite(t, filepath.Join(bin, "host-local"), "")
	mustWrite(t, filepath.Join(bin, "portmap"), "")
	if err := c.checkPlugins([]string{bin}); err != nil {
		t.Error(err)
	}
}
