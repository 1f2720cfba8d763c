package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// updateEnv, not empty, has golden files written anew: natively, as the VM's
// file system is the host's, read-only.
const updateEnv = "PODRT_TEST_UPDATE"

// ruleset is what nft(8) lists, but for what differs from run to run: handles,
// the order of a set's elements, and the words to be replaced.
func ruleset(t *testing.T, w *netWorld, words ...string) string {
	t.Helper()
	out := runIn(t, w.host.netns, "", "nft", "--json", "list", "ruleset")
	var all struct {
		Nftables []map[string]any `json:"nftables"`
	}
	if err := json.Unmarshal([]byte(strings.NewReplacer(words...).Replace(out)), &all); err != nil {
		t.Fatalf("nft --json list ruleset: %v: %s", err, out)
	}
	var b strings.Builder
	for _, object := range all.Nftables {
		if object["metainfo"] != nil {
			continue
		}
		line := new(bytes.Buffer)
		enc := json.NewEncoder(line)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(steady(object)); err != nil {
			t.Fatal(err)
		}
		b.Write(line.Bytes())
	}
	return b.String()
}

// steady is a value of the listing without handles, with its sets' elements in
// order, and without the counts of packets that have passed.
func steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			switch name {
			case "handle", "packets", "bytes":
				delete(v, name)
				continue
			}
			v[name] = steady(member)
			if list, ok := v[name].([]any); ok && name == "elem" {
				slices.SortFunc(list, func(a, b any) int { return bytes.Compare(jsonOf(a), jsonOf(b)) })
			}
		}
	case []any:
		for i := range v {
			v[i] = steady(v[i])
		}
	}
	return v
}

func jsonOf(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}

// TestNetworkRuleset: the rules of a network and of a pod's ports are what the
// golden files say, one object a line; and with the pod and the network gone, the
// ruleset is what it was.
func TestNetworkRuleset(t *testing.T) {
	w := newNetWorld(t)
	runIn(t, w.host.netns, foreignRules, "nft", "-f", "-")
	t.Cleanup(func() {
		runIn(t, w.host.netns, "delete table inet guard\ndelete table ip nat\n", "nft", "-f", "-")
	})
	foreign := ruleset(t, w)
	golden := func(name, uid string) string {
		t.Helper()
		got := ruleset(t, w, uid, "UID")
		own, ok := strings.CutPrefix(got, foreign)
		if !ok {
			t.Errorf("%s: other tables are not as they were:\n%s\nwant first:\n%s", name, got, foreign)
		}
		wantGolden(t, filepath.Join("testdata/network", name+".json"), own)
		return got
	}
	w.ok(t, "network", "create", "--subnet", "10.87.0.0/24", "--subnet", "fd00:87::/64", "bridge")
	if got := ruleset(t, w); got != foreign {
		t.Errorf("rules of a network without pods:\n%s\nwant none beside\n%s", got, foreign)
	}
	first := w.bare(t, "p", "--network", "bridge", "--ip", "10.87.0.2", "--ip", "fd00:87::2")
	quiet := golden("bridge", first.uid)
	second := w.bare(t, "q", "--network", "bridge", "--ip", "10.87.0.3", "--ip", "fd00:87::3",
		"-p", "8080:80", "-p", "8053:7/udp", "-p", hostIP+":8081:81", "-p", "["+hostIP6+"]:8081:81")
	published := golden("bridge-published", second.uid)

	runIn(t, w.host.netns, "delete table inet podrt", "nft", "-f", "-")
	w.ok(t, "network", "reload")
	if got := ruleset(t, w, second.uid, "UID"); got != published {
		t.Errorf("rules after reload:\n%s\nwant those of before:\n%s", got, published)
	}
	w.ok(t, "network", "reload")
	if got := ruleset(t, w, second.uid, "UID"); got != published {
		t.Errorf("rules after a second reload:\n%s\nwant those of before:\n%s", got, published)
	}
	w.ok(t, "pod", "rm", "q")
	if got := ruleset(t, w, first.uid, "UID"); got != quiet {
		t.Errorf("rules after the publishing pod:\n%s\nwant those of before it:\n%s", got, quiet)
	}
	w.ok(t, "network", "create", "--internal", "--subnet", "10.87.1.0/24", "--ipv6=false", "inner")
	third := w.bare(t, "r", "--network", "inner", "--ip", "10.87.1.2")
	golden("bridge-and-internal", third.uid)
	w.ok(t, "pod", "rm", "p", "r")
	if got := ruleset(t, w); got != foreign {
		t.Errorf("rules after the last pod:\n%s\nwant those of before the first:\n%s", got, foreign)
	}
}

// wantGolden compares with a file, or writes it.
func wantGolden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv(updateEnv) != "" && rung.Current() == rung.Native {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with %s=1 natively", err, updateEnv)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}
