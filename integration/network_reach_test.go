package integration

import (
	"strings"
	"testing"
)

// hop is who asks which server, and what must come of it.
type hop struct {
	from string // an agent of the stage
	to   string // the address; "POD" and "POD6" stand for that pod's own, "gw:POD" for its gateway's
	want string
}

// stage is a set of agents and the addresses that rows name.
type stage struct {
	agents map[string]*agent
	words  *strings.Replacer
}

// run goes through the rows.
func (s *stage) run(t *testing.T, rows []hop) {
	t.Helper()
	for _, r := range rows {
		name := strings.NewReplacer("/", "-", "[", "", "]", "").Replace(r.from + " to " + r.to)
		t.Run(name, func(t *testing.T) {
			a := s.agents[r.from]
			if a == nil {
				t.Fatalf("no agent %q", r.from)
			}
			want := s.words.Replace(r.want)
			a.reach(t, s.words.Replace(r.to), strings.NewReplacer("[", "", "]", "").Replace(want))
		})
	}
}

// stage has the hosts and the pods as agents. Rows name the addresses of the
// pod x as {x} and {x6}, of its gateways as {x-gw} and {x-gw6}.
func (w *netWorld) stage(t *testing.T, pods ...*netPod) *stage {
	t.Helper()
	s := &stage{agents: map[string]*agent{"host": w.host.agent, "outside": w.outside.agent}}
	var words []string
	for _, p := range pods {
		s.agents[p.name] = p.agent
		for _, a := range p.info.Interface.Addresses {
			words = append(words, "{"+p.name+suffix(a.Addr().Is6())+"}", bracket(a.Addr()))
		}
		for _, g := range p.info.Interface.Gateways {
			words = append(words, "{"+p.name+"-gw"+suffix(g.Is6())+"}", bracket(g))
		}
	}
	s.words = strings.NewReplacer(words...)
	return s
}

func suffix(six bool) string {
	if six {
		return "6"
	}
	return ""
}

// TestNetworkReach: who gets through to whom, and as whom.
func TestNetworkReach(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	w.ok(t, "network", "create", "other")
	w.ok(t, "network", "create", "--isolate=false", "open1")
	w.ok(t, "network", "create", "--isolate=false", "open2")
	w.ok(t, "network", "create", "--internal", "inner")
	s := w.stage(t,
		w.pod(t, "a", "--network", "bridge"), w.pod(t, "b", "--network", "bridge"),
		w.pod(t, "c", "--network", "other"),
		w.pod(t, "d", "--network", "open1"), w.pod(t, "e", "--network", "open2"),
		w.pod(t, "f", "--network", "inner"), w.pod(t, "g", "--network", "inner"))
	w.host.greet(t, "host", hostIP+":7080", "["+hostIP6+"]:7080", "udp:"+hostIP+":7053", "udp:["+hostIP6+"]:7053")
	w.outside.greet(t, "far", far4+":80", "["+far6+"]:80", "udp:"+far4+":53", "udp:["+far6+"]:53")

	s.run(t, []hop{
		// One network.
		{"a", "{b}:80", "b for {a}"},
		{"b", "{a}:80", "a for {b}"},
		{"a", "{b6}:80", "b for {a6}"},
		{"a", "udp:{b}:7", "b for {a}"},
		{"a", "udp:{b6}:7", "b for {a6}"},
		{"a", "{a}:80", "a for {a}"},

		// The host, by any of its addresses.
		{"host", "{a}:80", "a for {a-gw}"},
		{"host", "{a6}:80", "a for {a-gw6}"},
		{"host", "udp:{c}:7", "c for {c-gw}"},
		{"a", hostIP + ":7080", "host for {a}"},
		{"a", "[" + hostIP6 + "]:7080", "host for {a6}"},
		{"a", "udp:" + hostIP + ":7053", "host for {a}"},
		{"c", "udp:[" + hostIP6 + "]:7053", "host for {c6}"},

		// Out, in the host's name.
		{"a", far4 + ":80", "far for " + hostIP},
		{"a", "[" + far6 + "]:80", "far for " + hostIP6},
		{"c", "udp:" + far4 + ":53", "far for " + hostIP},
		{"c", "udp:[" + far6 + "]:53", "far for " + hostIP6},
		{"host", far4 + ":80", "far for " + hostIP},

		// Networks keep each other out, unless both do not.
		{"a", "{c}:80", noAnswer},
		{"a", "{c6}:80", noAnswer},
		{"c", "{a}:80", noAnswer},
		{"a", "udp:{c}:7", noAnswer},
		{"d", "{e}:80", "e for {d}"},
		{"e", "{d6}:80", "d for {e6}"},
		{"d", "{a}:80", noAnswer},
		{"a", "{d6}:80", noAnswer},

		// An internal network has its pods and the host.
		{"f", "{g}:80", "g for {f}"},
		{"f", "{g6}:80", "g for {f6}"},
		{"f", far4 + ":80", noAnswer},
		{"f", "[" + far6 + "]:80", noAnswer},
		{"f", "{a}:80", noAnswer},
		{"a", "{f}:80", noAnswer},
		{"host", "{f}:80", "f for"},

		// From outside, what is published, and networks that are open.
		{"outside", "{a}:80", noAnswer},
		{"outside", "{a6}:80", noAnswer},
		{"outside", "{d}:80", "d for " + outsideIP},
		{"outside", "{f}:80", noAnswer},
		{"outside", "{f6}:80", noAnswer},
	})

	t.Run("containers of a pod", func(t *testing.T) {
		second := w.add(t, "a", "second")
		second.reach(t, "127.0.0.1:80", "a for 127.0.0.1")
		second.stayRefused(t, "EADDRINUSE", "greet", ":80", "second")
		second.reach(t, s.words.Replace("{b}:80"), s.words.Replace("b for {a}"))
	})
}
