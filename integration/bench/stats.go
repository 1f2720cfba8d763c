package main

import (
	"slices"
	"time"
)

// row is one line of the results: a subject's samples of one metric.
type row struct {
	Case    string    `json:"case"`
	Metric  string    `json:"metric,omitempty"`
	Subject string    `json:"subject"`
	Wall    spread    `json:"wallMs"`            // milliseconds
	CPU     float64   `json:"cpuMs"`             // median, milliseconds, of all processes
	Faults  float64   `json:"faults"`            // median of the minor page faults
	Samples []float64 `json:"samples,omitempty"` // milliseconds, in order
}

// spread is the distribution of some samples.
type spread struct {
	Min    float64 `json:"min"`
	Q1     float64 `json:"q1"`
	Median float64 `json:"median"`
	Q3     float64 `json:"q3"`
	Max    float64 `json:"max"`
}

func spreadOf(samples []float64) spread {
	s := slices.Sorted(slices.Values(samples))
	return spread{quantile(s, 0), quantile(s, 0.25), quantile(s, 0.5), quantile(s, 0.75), quantile(s, 1)}
}

// quantile interpolates between the samples, which are sorted (type 7 of
// Hyndman and Fan, the usual one).
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// table collects the laps of a case.
type table struct {
	name    string
	metrics []string // in the order of their first lap
	laps    map[[2]string][]usage
	extra   map[string][]string // subjects that only laps name, by whose they are
}

func newTable(name string) *table {
	return &table{name: name, laps: map[[2]string][]usage{}, extra: map[string][]string{}}
}

func (t *table) record(subject string, l lap) {
	if !slices.Contains(t.metrics, l.metric) {
		t.metrics = append(t.metrics, l.metric)
	}
	if l.subject != "" {
		if !slices.Contains(t.extra[subject], l.subject) {
			t.extra[subject] = append(t.extra[subject], l.subject)
		}
		subject = l.subject
	}
	key := [2]string{l.metric, subject}
	t.laps[key] = append(t.laps[key], l.usage)
}

// rows lists the metrics, and the subjects of each in their order.
func (t *table) rows(subjects []subject) []row {
	var rows []row
	for _, metric := range t.metrics {
		for _, s := range subjects {
			for _, name := range append([]string{s.name}, t.extra[s.name]...) {
				laps := t.laps[[2]string{metric, name}]
				if len(laps) == 0 {
					continue
				}
				r := row{Case: t.name, Metric: metric, Subject: name}
				var cpu, faults []float64
				for _, l := range laps {
					r.Samples = append(r.Samples, ms(l.wall))
					cpu = append(cpu, ms(l.cpu))
					faults = append(faults, float64(l.faults))
				}
				r.Wall, r.CPU, r.Faults = spreadOf(r.Samples), spreadOf(cpu).Median, spreadOf(faults).Median
				rows = append(rows, r)
			}
		}
	}
	return rows
}
