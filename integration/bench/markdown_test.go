package main

import (
	"strings"
	"testing"
	"time"
)

func TestMarkdown(t *testing.T) {
	r := &results{
		Started: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC),
		Rows: []row{
			{Case: "run", Subject: "podrt", Wall: spreadOf([]float64{10, 20, 30}), CPU: 15, Faults: 1000},
			{Case: "run", Subject: "runc", Wall: spreadOf([]float64{25})},
			{Case: "sandbox", Metric: "up", Subject: floorWork, Wall: spreadOf([]float64{2})},
		},
		Facts:   []fact{{factKernelMemory, 210.04, "kB", "slab"}},
		Counts:  []counted{{"run", "podrt", 4000, 2267, 1135, 20_000, 0}, {"state", "podrt", 299, 169, 314, 400, 1_200_000}},
		Skipped: []string{"podman-5: podman is missing"},
	}
	r.Targets = judge(r)
	page := string(markdown(r, "bench.svg"))
	for _, want := range []string{
		"Written by `make bench`, 28 November 2026.",
		"![Medians in milliseconds, bars by runtime](bench.svg)",
		"| run, vs runc | 0.80 | 1.00 | met |",
		"| " + factKernelMemory + " | 210 kB | 250 kB | met |",
		"### run /bin/true, namespaces of its own",
		"|  | podrt | 20.00 | 15.00 – 25.00 | 15.00 | 1000 |  |",
		"|  | runc | 25.00 | 25.00 – 25.00 | 0.00 | 0 | 0.80 × |",
		"| up | " + floorWork + " | 2.00 | 2.00 – 2.00 |  |  |  |",
		"| run | podrt | 4000 | 2267 | 1135 | 20000 |  |",
		"| state | podrt | 299 | 169 | 314 | 400 | 1200000 |",
		"Skipped: podman-5: podman is missing",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in the page\n%s", want, page)
		}
	}
	if strings.Contains(string(markdown(&results{}, "x")), "## Memory") {
		t.Error("a page of no results has a section on memory")
	}
}
