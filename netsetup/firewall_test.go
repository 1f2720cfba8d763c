package netsetup

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

func TestBlockedBy(t *testing.T) {
	rung.Privileged(t)
	t.Cleanup(func() { nft(t, "", "flush", "ruleset") })
	n := network("red", "10.87.0.0/24")
	if _, err := addNetworkRules(n); err != nil {
		t.Fatal(err)
	}
	const firewalld = `table inet firewalld {
	chain filter_FORWARD { type filter hook forward priority 10; policy accept; %s
		ct state established accept
		reject with icmpx admin-prohibited
	}
	chain filter_FWD_trusted { accept; }
}`
	for _, tt := range []struct {
		name, rules string
		want        []string // of each, a part
	}{
		{"none", "", nil},
		{"another hook", "table inet x { chain INPUT { type filter hook input priority 0; policy drop; }; }", nil},
		{"accepts", "table ip x { chain c { type filter hook forward priority 0; policy accept; ip saddr 192.0.2.1 drop; }; }", nil},
		{"not of packets", "table bridge x { chain c { type filter hook forward priority 0; policy drop; }; }", nil},
		{
			"docker's", "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; oifname docker0 accept; }; }",
			[]string{`chain "ip filter FORWARD" drops what no rule of it accepts; for pods: nft insert rule ip filter FORWARD iifname "podrt*" accept; nft insert rule ip filter FORWARD oifname "podrt*" accept`},
		},
		{
			"two families", "table ip x { chain c { type filter hook forward priority 0; policy drop; }; }\ntable ip6 x { chain c { type filter hook forward priority 0; policy drop; }; }",
			[]string{`"ip x c"`, `"ip6 x c"`},
		},
		{"handled", `table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; jump USER; }; chain USER { iifname "podrt*" accept; oifname "podrt*" accept; }; }`, nil},
		{"firewalld's", strings.ReplaceAll(firewalld, "%s", ""), []string{`"inet firewalld filter_FORWARD"`}},
		{"firewalld's, handled", strings.ReplaceAll(firewalld, "%s", "iifname podrt0 goto filter_FWD_trusted"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// An empty chain is made, and inserted into, as the advice is.
			nft(t, tt.rules, "-f", "-")
			before := nft(t, "", "list", "ruleset")
			got, err := BlockedBy()
			if err != nil || len(got) != len(tt.want) {
				t.Fatalf("BlockedBy = %q, %v; want %q", got, err, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("BlockedBy = %q; want %q", got[i], want)
				}
			}
			if after := nft(t, "", "list", "ruleset"); after != before {
				t.Errorf("rules before:\n%s\nafter:\n%s", before, after)
			}
			follow(t, got)
			if got, err := BlockedBy(); err != nil || len(got) != 0 {
				t.Errorf("BlockedBy = %q, %v after its advice is taken; want nothing", got, err)
			}
			nft(t, "", "flush", "ruleset")
		})
	}
}

// follow does as the advice says.
func follow(t *testing.T, advice []string) {
	t.Helper()
	for _, s := range advice {
		_, commands, _ := strings.Cut(s, "for pods: ")
		for command := range strings.SplitSeq(commands, "; ") {
			words := strings.Fields(strings.ReplaceAll(command, `"`, ``))
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", command, err, out)
			}
		}
	}
}

func TestBlockedByLegacy(t *testing.T) {
	rung.Privileged(t)
	for _, program := range []string{"iptables-legacy", "ip6tables-legacy"} {
		t.Run(program, func(t *testing.T) {
			// As a kernel without legacy iptables, or with its modules not loaded.
			if out, err := exec.Command(program, "-P", "FORWARD", "ACCEPT").CombinedOutput(); err != nil {
				t.Skipf("%v: %s", err, out)
			}
			run := func(args ...string) {
				t.Helper()
				if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
					t.Fatalf("%s %q: %v: %s", program, args, err, out)
				}
			}
			t.Cleanup(func() {
				run("-F")
				run("-P", "FORWARD", "ACCEPT")
			})
			if got, err := BlockedBy(); err != nil || got != nil {
				t.Errorf("BlockedBy = %q, %v; want nothing", got, err)
			}
			run("-A", "FORWARD", "-i", "docker0", "-j", "ACCEPT")
			run("-P", "INPUT", "ACCEPT")
			run("-P", "FORWARD", "DROP")
			got, err := BlockedBy()
			if err != nil || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, program+"' chain FORWARD drops") }) {
				t.Fatalf("BlockedBy = %q, %v; want %s' FORWARD", got, err, program)
			}
			follow(t, got)
			if got, err := BlockedBy(); err != nil || got != nil {
				t.Errorf("BlockedBy = %q, %v after its advice is taken; want nothing", got, err)
			}
		})
	}
}
