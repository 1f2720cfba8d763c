package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestFilter asks the shell and grep, which read it as bats does.
func TestFilter(t *testing.T) {
	names := []string{"runc run [ro,nosuid bind] (a|b)", "it's $HOME {u,g}id != 0", `a\b *+?.^`}
	grep := exec.Command("sh", "-c", "grep -E "+strings.TrimPrefix(filter(names), "--filter "))
	grep.Stdin = strings.NewReader(strings.Join(names, "\n") + "\nrunc run\nrunc run r (a\nxit's $HOME {u,g}id != 0\n")
	out, err := grep.CombinedOutput()
	if want := strings.Join(names, "\n") + "\n"; err != nil || string(out) != want {
		t.Errorf("filter(%q) selects %q, %v; want these only", names, out, err)
	}
	if got := filter(nil); got != "" {
		t.Errorf("filter of nothing = %q; want none", got)
	}
}
