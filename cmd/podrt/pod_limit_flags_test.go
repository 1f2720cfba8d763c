package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestLimitFlags: what the flags are in pod.json, for a new pod and a live one.
func TestLimitFlags(t *testing.T) {
	for _, tt := range []struct {
		live       bool
		line, want string // JSON, or the error
	}{
		{false, "", "null"},
		{true, "", "null"},
		{false, "-m 1m --memory-reservation 1k --memory-swap -1", `{"memory":{"limit":1048576,"reservation":1024,"swap":-1}}`},
		{true, "--memory -1 --pids-limit -1 --cpus 0", `{"memory":{"limit":-1},"cpu":{"quota":-1},"pids":{"limit":-1}}`},
		{true, "--cpus 1.5 --cpu-shares 2 --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit 0", `{"cpu":{"shares":2,"quota":150000,"period":100000,"cpus":"0-1","mems":"0"},"pids":{"limit":0}}`},
		{true, "--cpus 2 --cpus 0.0", `{"cpu":{"quota":-1}}`},
		{false, "--memory -1", `invalid value "-1" for flag -memory: not a size such as 64m`},
		{false, "--cpus 0", `invalid value "0" for flag -cpus: not a positive number`},
		{true, "--cpus -0.5", `invalid value "-0.5" for flag -cpus: not a positive number`},
		{true, "--memory 0", `invalid value "0" for flag -memory: must be above 0`},
		{true, "--memory-swap 0k", `invalid value "0k" for flag -memory-swap: must be above 0`},
		{true, "--memory-reservation -1", `invalid value "-1" for flag -memory-reservation: not a size such as 64m`},
		{true, "--cpu-shares 0", `invalid value "0" for flag -cpu-shares: must be above 0`},
		{true, "--pids-limit x", `invalid value "x" for flag -pids-limit: not a number`},
	} {
		f, o := newFlags(), limitFlags{live: tt.live}
		o.register(f)
		_, err := f.parse(strings.Fields(tt.line), false)
		if err != nil {
			if err.Error() != tt.want {
				t.Errorf("%q: %v; want %s", tt.line, err, tt.want)
			}
			continue
		}
		if got, err := json.Marshal(o.resources()); err != nil || string(got) != tt.want {
			t.Errorf("%q: %s, %v; want %s", tt.line, got, err, tt.want)
		}
	}
}
