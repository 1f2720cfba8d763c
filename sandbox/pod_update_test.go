package sandbox

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func limits(t *testing.T, s string) *specs.LinuxResources {
	t.Helper()
	if s == "" {
		return nil
	}
	r, err := ParsePodLimits("limits", strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMergeResources: what the pod's limits become, and what is written for it.
func TestMergeResources(t *testing.T) {
	for _, tt := range []struct{ old, change, merged, set string }{
		{"", `{"memory":{"limit":5}}`, `{"memory":{"limit":5}}`, `{"memory":{"limit":5}}`},
		{`{"pids":{"limit":1}}`, `{"memory":{"limit":5}}`, `{"memory":{"limit":5},"pids":{"limit":1}}`, `{"memory":{"limit":5}}`},
		{`{"pids":{"limit":1}}`, `{"pids":{"limit":0}}`, `{"pids":{"limit":0}}`, `{"pids":{"limit":0}}`},
		// Nothing is given.
		{"", `{}`, `null`, `{}`},
		{`{"pids":{"limit":1}}`, `{"pids":{}}`, `{"pids":{"limit":1}}`, `{"pids":{}}`},
		{`{"memory":{"limit":5}}`, `{"memory":{"limit":0}}`, `{"memory":{"limit":5}}`, `{"memory":{"limit":0}}`},
		{`{"memory":{"limit":5},"cpu":{"shares":3}}`, `{"memory":{"limit":0},"cpu":{"shares":0,"burst":0}}`, `{"memory":{"limit":5},"cpu":{"shares":3,"burst":0}}`, `{"memory":{"limit":0},"cpu":{"shares":0,"burst":0}}`},
		// Memory and swap.
		{`{"memory":{"limit":5,"swap":8}}`, `{"memory":{"limit":6}}`, `{"memory":{"limit":6,"swap":8}}`, `{"memory":{"limit":6,"swap":8}}`},
		{`{"memory":{"limit":5,"swap":8}}`, `{"memory":{"swap":9}}`, `{"memory":{"limit":5,"swap":9}}`, `{"memory":{"limit":5,"swap":9}}`},
		{`{"memory":{"limit":5,"swap":8}}`, `{"memory":{"reservation":1}}`, `{"memory":{"limit":5,"swap":8,"reservation":1}}`, `{"memory":{"reservation":1}}`},
		{`{"memory":{"limit":5,"swap":8}}`, `{"memory":{"limit":-1}}`, `{"memory":{"limit":-1}}`, `{"memory":{"limit":-1}}`},
		{`{"memory":{"limit":5,"swap":8}}`, `{"memory":{"limit":-1,"swap":8}}`, `{"memory":{"limit":-1,"swap":8}}`, `{"memory":{"limit":-1,"swap":8}}`},
		// Quota and period; weight and idle.
		{`{"cpu":{"quota":5000,"period":10000,"cpus":"0"}}`, `{"cpu":{"quota":-1}}`, `{"cpu":{"quota":-1,"period":10000,"cpus":"0"}}`, `{"cpu":{"quota":-1,"period":10000}}`},
		{`{"cpu":{"quota":5000}}`, `{"cpu":{"cpus":"1","mems":"0"}}`, `{"cpu":{"quota":5000,"cpus":"1","mems":"0"}}`, `{"cpu":{"cpus":"1","mems":"0"}}`},
		{`{"cpu":{"shares":5}}`, `{"cpu":{"idle":1}}`, `{"cpu":{"idle":1}}`, `{"cpu":{"idle":1}}`},
		// By what they are of.
		{
			`{"hugepageLimits":[{"pageSize":"2MB","limit":1},{"pageSize":"1GB","limit":2}]}`, `{"hugepageLimits":[{"pageSize":"2MB","limit":3}]}`,
			`{"hugepageLimits":[{"pageSize":"1GB","limit":2},{"pageSize":"2MB","limit":3}]}`, `{"hugepageLimits":[{"pageSize":"2MB","limit":3}]}`,
		},
		{`{"unified":{"memory.high":"1","pids.max":"2"}}`, `{"pids":{"limit":3},"unified":{"memory.min":"4"}}`, `{"pids":{"limit":3},"unified":{"memory.high":"1","memory.min":"4"}}`, `{"pids":{"limit":3},"unified":{"memory.min":"4"}}`},
		{"", `{"unified":{"memory.min":"4"}}`, `{"unified":{"memory.min":"4"}}`, `{"unified":{"memory.min":"4"}}`},
	} {
		old, change := limits(t, tt.old), limits(t, tt.change)
		was := encode(t, old)
		merged := mergeResources(old, change)
		if got, want := encode(t, merged), encode(t, decode(t, tt.merged)); got != want {
			t.Errorf("%s and %s are %s; want %s", tt.old, tt.change, got, want)
		}
		if got, want := encode(t, completeChange(change, merged)), encode(t, decode(t, tt.set)); got != want {
			t.Errorf("%s to %s writes %s; want %s", tt.change, tt.old, got, want)
		}
		if now := encode(t, old); now != was {
			t.Errorf("with %s the old limits, %s, become %s", tt.change, was, now)
		}
	}
}

func decode(t *testing.T, s string) (r *specs.LinuxResources) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func encode(t *testing.T, r *specs.LinuxResources) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestParsePodLimits(t *testing.T) {
	for in, want := range map[string]string{
		`{"memory":{"limt":5}}`:           `limits: memory.limt: 5: unknown field`,
		`{"memory":{"limit":"5"}}`:        `limits: memory.limit: "5": must be an integer of 64 bits`,
		`{"memory":null}`:                 `limits: memory: null: must be an object`,
		`{} {}`:                           `limits: line 1, column 4: not JSON`,
		``:                                `limits: `,
		`[]`:                              `limits: []: must be an object`,
		strings.Repeat(" ", maxPodJSON+1): `limits: 1048577 bytes: must be at most 1048576`,
	} {
		_, err := ParsePodLimits("limits", strings.NewReader(in))
		if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, ErrInvalidJSON) {
			t.Errorf("ParsePodLimits(%.30q): %v; want %s", in, err, want)
		}
	}
	if _, err := ParsePodLimits("-", strings.NewReader("x")); err == nil || !strings.HasPrefix(err.Error(), "standard input: ") {
		t.Errorf("ParsePodLimits of the standard input: %v; want it named", err)
	}
}
