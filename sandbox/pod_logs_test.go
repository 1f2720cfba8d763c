package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLastLines(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{
		{"", -1, ""},
		{"", 0, ""},
		{"", 5, ""},
		{"a\nb\nc\n", -1, "a\nb\nc\n"},
		{"a\nb\nc\n", 0, ""},
		{"a\nb\nc\n", 1, "c\n"},
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb\nc\n", 3, "a\nb\nc\n"},
		{"a\nb\nc\n", 9, "a\nb\nc\n"},
		{"a\nb\nc", 1, "c"},
		{"a\nb\nc", 2, "b\nc"},
		{"\n\n\n", 2, "\n\n"},
		{"\n", 1, "\n"},
		{"a", 1, "a"},
		{long + "\n" + long + "\n" + long, 2, long + "\n" + long},
		{long + "\n" + long + "\n" + long + "\n", 1, long + "\n"},
		{strings.Repeat("0123456\n", 100_000), 70_000, strings.Repeat("0123456\n", 70_000)},
	} {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		at, err := lastLines(f, tt.n)
		if err != nil || tt.text[at:] != tt.want {
			t.Errorf("lastLines(%.20q… of %d bytes, %d) = %d, %v; want what begins at %d", tt.text, len(tt.text), tt.n, at, err, len(tt.text)-len(tt.want))
		}
		f.Close()
	}
}
