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
		{"container:web", Mode{Container, "web"}, ""},
		{"container:0a.B_c-1", Mode{Container, "0a.B_c-1"}, ""},
		{"container", Mode{}, `network.mode "container" does not name a pod: want container:POD`},
		{"container:", Mode{}, `network.mode "container:" does not name a pod: want container:POD`},
		{"container:../x", Mode{}, `network.mode "container:../x" does not name a pod: want container:POD`},
		{"container:-x", Mode{}, "does not name a pod"},
		{"container:a:b", Mode{}, "does not name a pod"},
		{"container:" + strings.Repeat("x", 129), Mode{}, "does not name a pod"},
		{"bridge", Mode{}, `network.mode "bridge" is not supported: use none, host or container:POD`},
		{"None", Mode{}, `network.mode "None" is not supported`},
		{"none:", Mode{}, `network.mode "none:" is not supported`},
		{"host:x", Mode{}, `network.mode "host:x" is not supported`},
		{"ns:/run/netns/x", Mode{}, "is not supported"},
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
