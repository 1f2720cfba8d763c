package main

import (
	"strings"
	"testing"
)

func TestCallRefuses(t *testing.T) {
	for _, c := range []struct{ method, request, want string }{
		{"Nonsense", "{}", `method "Nonsense": not in CRI v1`},
		{"StartContainer", `{"container": "x"}`, `unknown field "container"`},
		{"StartContainer", "{}", "Unavailable: "},
	} {
		_, err := call(t.TempDir()+"/none.sock", c.method, c.request)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("call(%s, %s): %v; want an error with %q", c.method, c.request, err, c.want)
		}
	}
}

func TestFindsBothServices(t *testing.T) {
	for name, want := range map[string]string{
		"RunPodSandbox": "runtime.v1.RuntimeService.RunPodSandbox",
		"ListImages":    "runtime.v1.ImageService.ListImages",
	} {
		m := find(name)
		if m == nil || string(m.FullName()) != want {
			t.Errorf("find(%q) = %v; want %s", name, m, want)
		}
	}
}
