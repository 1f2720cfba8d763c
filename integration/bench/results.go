package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// results is all that a run found, as results.json has it.
type results struct {
	Started time.Time `json:"started"`
	Machine *machine  `json:"machine"`
	Rows    []row     `json:"rows"`
	Facts   []fact    `json:"facts,omitempty"`
	Counts  []counted `json:"counts,omitempty"`
	Targets []target  `json:"targets,omitempty"`
	Skipped []string  `json:"skipped,omitempty"`
}

// fact is a number that is not a time.
type fact struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Note  string  `json:"note,omitempty"`
}

// write writes the results as JSON, as a plot and as a page with the plot.
func (r *results) write(data, image, page string) error {
	j, err := r.encode()
	if err != nil {
		return err
	}
	link, err := filepath.Rel(filepath.Dir(page), image)
	if err != nil {
		return err
	}
	for path, b := range map[string][]byte{data: j, image: plot(r), page: markdown(r, link)} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *results) encode() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	return append(b, '\n'), err
}

// row finds a line of the results.
func (r *results) row(name, metric, subject string) (row, bool) {
	for _, row := range r.Rows {
		if row.Case == name && row.Metric == metric && row.Subject == subject {
			return row, true
		}
	}
	return row{}, false
}

func (r *results) fact(name string) (fact, bool) {
	for _, f := range r.Facts {
		if f.Name == name {
			return f, true
		}
	}
	return fact{}, false
}

// printRows prints a case as a table. The last column compares the medians:
// podrt's is that many times the subject's.
func printRows(w io.Writer, c testCase, rows []row) {
	fmt.Fprintf(w, "\n%s: %s\n", c.name, c.about)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "\t\tmin\tq1\tmedian ms\tq3\tmax\tcpu ms\tfaults\tn\tpodrt is\t\n")
	base := map[string]float64{}
	for _, r := range rows {
		if r.Subject == "podrt" {
			base[r.Metric] = r.Wall.Median
		}
	}
	for _, r := range rows {
		times, cpu, faults := "", fmt.Sprintf("%.2f", r.CPU), fmt.Sprintf("%.0f", r.Faults)
		if b, ok := base[r.Metric]; ok && r.Subject != "podrt" && r.Wall.Median > 0 {
			times = ratio(b/r.Wall.Median) + " ×"
		}
		if r.Subject == floorWork {
			cpu, faults = "", ""
		}
		s := r.Wall
		fmt.Fprintf(tw, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%s\t%s\t%d\t%s\t\n",
			r.Metric, r.Subject, s.Min, s.Q1, s.Median, s.Q3, s.Max, cpu, faults, len(r.Samples), times)
	}
	tw.Flush()
}

// ratio has two digits that matter.
func ratio(x float64) string {
	switch {
	case x < 0.1:
		return fmt.Sprintf("%.3f", x)
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

func printFacts(w io.Writer, facts []fact) {
	fmt.Fprint(w, "\nmemory and processes\n")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range facts {
		fmt.Fprintf(tw, "  %s\t%s %s\t%s\n", f.Name, strings.TrimSuffix(fmt.Sprintf("%.1f", f.Value), ".0"), f.Unit, f.Note)
	}
	tw.Flush()
}

func printCounts(w io.Writer, counts []counted) {
	if len(counts) == 0 {
		return
	}
	fmt.Fprint(w, "\ncounts, which no clock has a part in\n")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(tw, "\t\tsystem calls\tbut the Go scheduler's\tfaults\tbytes written\tinstructions\t\n")
	for _, c := range counts {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%s\t\n", c.Operation, c.Subject, c.Calls, c.Steady, c.Faults, c.Written, c.instructions())
	}
	tw.Flush()
}

func printTargets(w io.Writer, targets []target) {
	if len(targets) == 0 {
		return
	}
	fmt.Fprint(w, "\ntargets\n")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, t := range targets {
		fmt.Fprintf(tw, "  %s\t%s\tat most %s\t%s\n", t.Name, amount(t.Value, t.Unit), amount(t.Limit, t.Unit), t.verdict())
	}
	tw.Flush()
}
