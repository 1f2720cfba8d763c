package netsetup

import (
	"strings"
	"testing"
)

func TestParseMode(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want Mode
		err  string
	}{
		{"", Mode{Kind: None}, ""},
		{"none", Mode{Kind: None}, ""},
		{"host", Mode{Kind: Host}, ""},
		{"container:web", Mode{Kind: Container, Pod: "web"}, ""},
		{"container:0a.B_c-1", Mode{Kind: Container, Pod: "0a.B_c-1"}, ""},
		{"bridge", Mode{Kind: Named, Network: DefaultNetwork}, ""},
		{"my-net_1.2", Mode{Kind: Named, Network: "my-net_1.2"}, ""},
		{"ns:/run/netns/x", Mode{Kind: Path, Path: "/run/netns/x"}, ""},
		{"container", Mode{}, `network.mode "container" does not name a pod: want container:POD`},
		{"container:", Mode{}, `network.mode "container:" does not name a pod: want container:POD`},
		{"container:../x", Mode{}, `network.mode "container:../x" does not name a pod: want container:POD`},
		{"container:-x", Mode{}, "does not name a pod"},
		{"container:a:b", Mode{}, "does not name a pod"},
		{"container:" + strings.Repeat("x", 129), Mode{}, "does not name a pod"},
		{"None", Mode{}, `network.mode "None" is not supported: use none, host, container:POD, ns:PATH, bridge or the name of a network`},
		{"default", Mode{}, `network.mode "default" is not supported`},
		{"none:", Mode{}, `network.mode "none:" is not supported`},
		{"host:x", Mode{}, `network.mode "host:x" is not supported`},
		{"bridge:x", Mode{}, `network.mode "bridge:x" is not supported`},
		{"-x", Mode{}, "is not supported"},
		{"../x", Mode{}, "is not supported"},
		{strings.Repeat("x", 64), Mode{}, "is not supported"},
		{"ns:", Mode{}, `network.mode "ns:" is not a clean absolute path: want ns:PATH`},
		{"ns:run/netns/x", Mode{}, "is not a clean absolute path"},
		{"ns:/run/../x", Mode{}, "is not a clean absolute path"},
	} {
		got, err := ParseMode(tt.in)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ParseMode(%q) = %v, %v; want error %q", tt.in, got, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("ParseMode(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
		}
		if again, err := ParseMode(got.String()); err != nil || again != got {
			t.Errorf("ParseMode(%q) = %v, %v; want %v again", got, again, err, got)
		}
	}
}
