package main

import (
	"slices"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	for _, tc := range []struct {
		samples []float64
		want    spread
	}{
		{nil, spread{}},
		{[]float64{7}, spread{7, 7, 7, 7, 7}},
		{[]float64{2, 1}, spread{1, 1.25, 1.5, 1.75, 2}},
		{[]float64{5, 1, 4, 2, 3}, spread{1, 2, 3, 4, 5}},
		{[]float64{10, 1000, 20, 30}, spread{10, 17.5, 25, 272.5, 1000}},
	} {
		in := slices.Clone(tc.samples)
		if got := spreadOf(tc.samples); got != tc.want {
			t.Errorf("spreadOf(%v) = %v; want %v", in, got, tc.want)
		}
		if !slices.Equal(in, tc.samples) {
			t.Errorf("spreadOf(%v) changed its argument to %v", in, tc.samples)
		}
	}
}

func TestRows(t *testing.T) {
	table := newTable("case")
	for _, d := range []time.Duration{3, 1, 2} {
		u := usage{wall: d * time.Millisecond, cpu: 2 * d * time.Millisecond, faults: int64(d)}
		for _, metric := range []string{"up", "down"} {
			table.record("a", lap{metric: metric, usage: u})
			table.record("floor", lap{metric: metric, usage: u})
			table.record("floor", lap{metric: metric, subject: floorWork, usage: u})
		}
	}
	rows := table.rows([]subject{{name: "floor"}, {name: "a"}, {name: "never measured"}})
	var got []string
	for _, r := range rows {
		got = append(got, r.Metric+" "+r.Subject)
		if r.Case != "case" || r.Wall.Median != 2 || r.CPU != 4 || r.Faults != 2 || !slices.Equal(r.Samples, []float64{3, 1, 2}) {
			t.Errorf("row %+v; want medians 2, 4, 2 of the samples 3, 1, 2", r)
		}
	}
	want := []string{"up floor", "up " + floorWork, "up a", "down floor", "down " + floorWork, "down a"}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q; want %q", got, want)
	}
}
