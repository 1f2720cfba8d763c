package netsetup

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// bridgePrefix is what the names of all networks' bridges begin with.
const bridgePrefix = "podrt"

// BlockedBy looks for firewalls that drop what is forwarded unless a rule of
// theirs accepts it: base chains of nftables at the forward hook, and the FORWARD
// chains of legacy iptables. Pods reach others, and others them, only if those
// let them. For each, it says what to do. Those with a rule that names podrt's
// bridges are left out: somebody has thought of them. Nothing is changed.
func BlockedBy() ([]string, error) {
	var found []string
	err := withRules(func(conn *nftables.Conn) error {
		chains, err := conn.ListChains()
		if err != nil {
			return fmt.Errorf("list nftables chains: %w", err)
		}
		for _, c := range chains {
			blocks, err := blocks(conn, c, chains)
			if err != nil {
				return err
			}
			if blocks {
				found = append(found, advice(c))
			}
		}
		return nil
	})
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		err = nil // a kernel without nf_tables
	}
	legacy, err2 := blockedByLegacy()
	return append(found, legacy...), errors.Join(err, err2)
}

var familyNames = [...]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6"}

func familyName(t *nftables.Table) string {
	if int(t.Family) < len(familyNames) {
		return familyNames[t.Family]
	}
	return ""
}

func advice(c *nftables.Chain) string {
	chain := fmt.Sprintf("%s %s %s", familyName(c.Table), c.Table.Name, c.Name)
	return fmt.Sprintf("nftables' chain %q drops what no rule of it accepts; for pods: nft insert rule %s iifname %q accept; nft insert rule %s oifname %q accept",
		chain, chain, bridgePrefix+"*", chain, bridgePrefix+"*")
}

// blocks reports whether the chain drops what is forwarded, by its policy or by
// a last rule that takes all, and its table has no rule for podrt's bridges.
func blocks(conn *nftables.Conn, c *nftables.Chain, all []*nftables.Chain) (bool, error) {
	if c.Hooknum == nil || *c.Hooknum != *nftables.ChainHookForward || c.Type != nftables.ChainTypeFilter ||
		familyName(c.Table) == "" || sameTable(c.Table, rulesTable()) {
		return false, nil
	}
	rules, err := conn.GetRules(c.Table, c)
	if err != nil {
		return false, fmt.Errorf("read nftables chain %s: %w", c.Name, err)
	}
	drops := c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop
	if !drops && (len(rules) == 0 || !dropsAll(rules[len(rules)-1])) {
		return false, nil
	}
	for _, other := range all {
		if !sameTable(other.Table, c.Table) {
			continue
		}
		rules, err := conn.GetRules(other.Table, other)
		if err != nil {
			return false, fmt.Errorf("read nftables chain %s: %w", other.Name, err)
		}
		for _, r := range rules {
			if namesBridges(r) {
				return false, nil
			}
		}
	}
	return true, nil
}

func sameTable(a, b *nftables.Table) bool { return a.Name == b.Name && a.Family == b.Family }

// dropsAll reports whether the rule drops or rejects whatever comes to it.
func dropsAll(r *nftables.Rule) bool {
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Reject:
			return true
		case *expr.Verdict:
			return e.Kind == expr.VerdictDrop
		default:
			return false
		}
	}
	return false
}

// namesBridges reports whether the rule compares something to a name of a bridge,
// or to a prefix of it.
func namesBridges(r *nftables.Rule) bool {
	for _, e := range r.Exprs {
		if c, ok := e.(*expr.Cmp); ok && bytes.HasPrefix(c.Data, []byte(bridgePrefix)) {
			return true
		}
	}
	return false
}
