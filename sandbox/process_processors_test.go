package sandbox

import (
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestOneProcessor(t *testing.T) {
	hooked := &specs.Spec{Hooks: &specs.Hooks{}}
	for _, tc := range []struct {
		before string
		all    []*specs.Spec
		want   string
	}{
		{"", nil, "1"},
		{"", []*specs.Spec{{}, {}}, "1"},
		{"", []*specs.Spec{{}, hooked}, ""},
		{"3", nil, "3"},
	} {
		t.Setenv("GOMAXPROCS", tc.before)
		OneProcessor(tc.all...)
		if got := os.Getenv("GOMAXPROCS"); got != tc.want {
			t.Errorf("GOMAXPROCS %q with %d specs becomes %q; want %q", tc.before, len(tc.all), got, tc.want)
		}
	}
}
