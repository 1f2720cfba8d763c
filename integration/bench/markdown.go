package main

import (
	"fmt"
	"strings"
)

// markdown writes the results as a page: what they are from, the targets, every
// case and the counts. The plot is the file beside it.
func markdown(r *results, plot string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# podrt side by side\n\nWritten by `make bench`, %s. [performance.md](performance.md) says where the time goes.\n\n![Medians in milliseconds, bars by runtime](%s)\n\n",
		r.Started.Format("2 January 2006"), plot)
	if r.Machine != nil {
		for line := range strings.Lines(r.Machine.String()) {
			fmt.Fprintf(&b, "- %s", line)
		}
		b.WriteByte('\n')
	}
	b.WriteString("## Targets\n\nMedians of this run.\n\n| case | is | at most | |\n|---|---|---|---|\n")
	for _, t := range r.Targets {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", t.Name, amount(t.Value, t.Unit), amount(t.Limit, t.Unit), t.verdict())
	}
	about := map[string]string{}
	for _, c := range cases() {
		about[c.name] = c.about
	}
	b.WriteString("\n## Cases\n\nMilliseconds on the clock; CPU time is that of all processes that the command sets off. podrt's median is that many times the other's.\n")
	base := map[[2]string]float64{}
	for _, row := range r.Rows {
		if row.Subject == "podrt" {
			base[[2]string{row.Case, row.Metric}] = row.Wall.Median
		}
	}
	last := ""
	for _, row := range r.Rows {
		if row.Case != last {
			last = row.Case
			fmt.Fprintf(&b, "\n### %s\n\n| | | median | quartiles | CPU | page faults | podrt is |\n|---|---|---:|---:|---:|---:|---:|\n", about[row.Case])
		}
		times, cpu, faults := "", fmt.Sprintf("%.2f", row.CPU), fmt.Sprintf("%.0f", row.Faults)
		if own, ok := base[[2]string{row.Case, row.Metric}]; ok && row.Subject != "podrt" && row.Wall.Median > 0 {
			times = ratio(own/row.Wall.Median) + " ×"
		}
		if row.Subject == floorWork {
			cpu, faults = "", ""
		}
		fmt.Fprintf(&b, "| %s | %s | %.2f | %.2f – %.2f | %s | %s | %s |\n",
			row.Metric, row.Subject, row.Wall.Median, row.Wall.Q1, row.Wall.Q3, cpu, faults, times)
	}
	if len(r.Facts) > 0 {
		b.WriteString("\n## Memory and density\n\n| | | |\n|---|---:|---|\n")
		for _, f := range r.Facts {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", f.Name, amount(f.Value, f.Unit), f.Note)
		}
	}
	if len(r.Counts) > 0 {
		b.WriteString("\n## Counts, which no clock has a part in\n\n| | | system calls | but the Go scheduler's | page faults | bytes written | instructions |\n|---|---|---:|---:|---:|---:|---:|\n")
		for _, c := range r.Counts {
			fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %s |\n", c.Operation, c.Subject, c.Calls, c.Steady, c.Faults, c.Written, c.instructions())
		}
	}
	for _, s := range r.Skipped {
		fmt.Fprintf(&b, "\nSkipped: %s\n", s)
	}
	return []byte(b.String())
}

// amount is a ratio, or a number of units.
func amount(v float64, unit string) string {
	if unit == "" {
		return ratio(v)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + unit
}
