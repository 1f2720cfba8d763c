package main

import (
	"strings"
	"testing"
)

const native = `{"Action":"run","Test":"TestPodman"}
{"Action":"run","Test":"TestPodman/podrt/run"}
{"Action":"output","Test":"TestPodman/podrt/run","Output":"    lab_test.go:1: said\n"}
{"Action":"pass","Test":"TestPodman/podrt/run"}
{"Action":"output","Test":"TestPodman/podrt/kube","Output":"    operation_test.go:84: fails: podman cannot\n"}
{"Action":"skip","Test":"TestPodman/podrt/kube"}
not JSON
{"Action":"pass","Test":"TestPodman/runc/run"}
{"Action":"output","Test":"TestPodman/runc/kube","Output":"    operation_test.go:84: fails: podman cannot\n"}
{"Action":"skip","Test":"TestPodman/runc/kube"}
{"Action":"pass","Test":"TestPodman/podrt"}
{"Action":"pass","Test":"TestPodman"}
{"Action":"pass","Test":"TestContract/BuildKit/run"}
{"Action":"pass","Test":"TestContract/BuildKit/kill"}
{"Action":"pass","Package":"p"}
`

const inVM = `{"Action":"pass","Test":"TestPodman/podrt/run"}
{"Action":"pass","Test":"TestPodman/runc/run"}
{"Action":"pass","Test":"TestSystemdPodman/podrt/pod"}
{"Action":"pass","Test":"TestSystemdPodman/runc/pod"}
{"Action":"pass","Test":"TestCRI/podrt/stats"}
{"Action":"pass","Test":"TestCRI/runc/stats"}
`

func tableOf(t *testing.T, texts map[string]string) *table {
	t.Helper()
	table := newTable()
	for _, rung := range []string{"native", "vm"} {
		if err := table.read(rung, strings.NewReader(texts[rung])); err != nil {
			t.Fatal(err)
		}
	}
	return table
}

func TestMarkdown(t *testing.T) {
	table := tableOf(t, map[string]string{"native": native, "vm": inVM})
	const want = `| caller | operation | rung | podrt | runc |
| --- | --- | --- | --- | --- |
| containerd, CRI | stats | vm | works | works |
| podman | kube | native | fails (1) | fails (1) |
| podman | run | native, vm | works | works |
| podman, systemd | pod | vm | works | works |
| contract: BuildKit | 2 rows of calls | native | as runc 1.5 | |

1. podman cannot
`
	if got := table.markdown(); got != want {
		t.Errorf("markdown = %s; want %s", got, want)
	}
	if err := table.verdict(); err != nil {
		t.Errorf("verdict = %v; want nil", err)
	}
}

func TestVerdict(t *testing.T) {
	for text, want := range map[string]string{
		"": "no test ran",
		`{"Action":"fail","Test":"TestPodman/podrt/run"}
{"Action":"pass","Test":"TestPodman/runc/run"}`: "podman, run, native: podrt FAILS, runc works",
		`{"Action":"skip","Test":"TestPodman/podrt/run"}
{"Action":"pass","Test":"TestPodman/runc/run"}`: "podman, run, native: podrt not tried, runc works",
		`{"Action":"pass","Test":"TestPodman/podrt/run"}
{"Action":"fail","Test":"TestContract/Docker/run"}`: "contract, Docker, native: 1 rows differ from runc's",
	} {
		err := tableOf(t, map[string]string{"native": text}).verdict()
		if err == nil || err.Error() != want {
			t.Errorf("verdict of %s = %v; want %s", text, err, want)
		}
	}
}

func TestReplace(t *testing.T) {
	got, err := replace("before\n"+begin+"old\n"+end+"after\n", "new\n")
	if want := "before\n" + begin + "\nnew\n\n" + end + "after\n"; err != nil || got != want {
		t.Errorf("replace = %q, %v; want %q", got, err, want)
	}
	for _, text := range []string{"", begin, end, end + begin} {
		if _, err := replace(text, "new"); err == nil {
			t.Errorf("replace(%q) = nil error; want one about the marks", text)
		}
	}
}
