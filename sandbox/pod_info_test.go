package sandbox

import (
	"io"
	"os/exec"
	"strings"
	"testing"
)

// TestReadProcessCommand: how long its command line is, a process says itself,
// and may say so of memory that it does not have (PR_SET_MM_MAP, prctl(2)).
func TestReadProcessCommand(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"short", []string{"one", "two  three"}, "sh -c echo; read x sh one two  three"},
		{"long", []string{strings.Repeat("x", 100<<10), strings.Repeat("y", 100<<10)}, "sh -c echo; read x sh " + strings.Repeat("x", maxCommand-len("sh -c echo; read x sh "))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("sh", append([]string{"-c", "echo; read x", "sh"}, tt.args...)...)
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_, _ = io.WriteString(in, "x\n")
				_ = cmd.Wait()
			}()
			// It has executed sh before it has sh's command line.
			if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			p, err := readProcess(cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			if p.Command != tt.want {
				t.Errorf("command of %d bytes, %.80q; want %d, %.80q", len(p.Command), p.Command, len(tt.want), tt.want)
			}
		})
	}
}
