package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotColumns = 2
	panelWidth  = 440
	panelGap    = 24
	labelWidth  = 124 // of the subjects
	valueWidth  = 76  // of the medians
	barHeight   = 14
	barStep     = 19
	titleHeight = 26
	plotHead    = 62
)

// panel is a metric of a case: a bar per subject, on a scale of its own.
type panel struct {
	title string
	bars  []row
	floor float64 // milliseconds; 0: there is none
}

// plot draws the medians as bars, the middle half of the samples as a line in
// each, and the floor as a line across all.
func plot(r *results) []byte {
	panels := panelsOf(r)
	// Side by side, each row as high as its higher one.
	var b bytes.Buffer
	y := plotHead
	for i := 0; i < len(panels); i += plotColumns {
		line := panels[i:min(i+plotColumns, len(panels))]
		height := 0
		for j, p := range line {
			p.draw(&b, panelGap+j*(panelWidth+panelGap), y)
			height = max(height, p.height())
		}
		y += height + panelGap
	}
	width := panelGap + plotColumns*(panelWidth+panelGap)

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="system-ui, sans-serif" font-size="12" fill="#1f2937">`+"\n", width, y)
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, y)
	text(&out, panelGap, 26, `font-size="16" font-weight="600"`, "podrt side by side: medians in milliseconds, less is better")
	text(&out, panelGap, 46, `fill="#6b7280"`, caption(r.Machine))
	out.Write(b.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

func caption(m *machine) string {
	if m == nil {
		return ""
	}
	parts := []string{m.CPU, fmt.Sprintf("%d cores", m.Cores), "Linux " + m.Kernel}
	for _, t := range m.Tools {
		if !t.podrt {
			parts = append(parts, t.Name+" "+t.Version)
		}
	}
	return strings.Join(parts, ", ") + "; dashed: the kernel's floor"
}

// plotted are the metrics that are drawn, by case; the tables have all.
var plotted = map[string][]string{
	"run": {""}, "run-pod": {""}, "run-seccomp": {""}, "lifecycle": {"all four"}, "delete-force": {""},
	"exec": {""}, "state": {""}, "list-1000": {""}, "sandbox": {"up", "down"},
	"pod-1": {"up", "down"}, "pod-5": {"up", "down"}, "pod-20": {"up", "down"}, "podman-5": {"up", "down"},
}

// panelsOf makes a panel of each metric that is drawn.
func panelsOf(r *results) []panel {
	about := map[string]string{}
	for _, c := range cases() {
		about[c.name] = c.about
	}
	var panels []panel
	for _, row := range r.Rows {
		if !slices.Contains(plotted[row.Case], row.Metric) {
			continue
		}
		title := about[row.Case]
		if row.Metric == "up" || row.Metric == "down" {
			title = strings.TrimSuffix(title, ", up and down") + ", " + row.Metric
		}
		if n := len(panels); n == 0 || panels[n-1].title != title {
			panels = append(panels, panel{title: title})
		}
		p := &panels[len(panels)-1]
		switch row.Subject {
		case floorProcess:
			p.floor = row.Wall.Median
		case floorWork:
		default:
			p.bars = append(p.bars, row)
		}
	}
	return panels
}

func (p *panel) height() int { return titleHeight + len(p.bars)*barStep }

func (p *panel) draw(b *bytes.Buffer, x, y int) {
	text(b, x, y+14, `font-weight="600"`, p.title)
	longest := p.floor
	for _, r := range p.bars {
		longest = max(longest, r.Wall.Median, r.Wall.Q3)
	}
	if longest == 0 {
		return
	}
	left := float64(x + labelWidth)
	scale := float64(panelWidth-labelWidth-valueWidth) / longest
	at := func(ms float64) float64 { return left + ms*scale }
	for i, r := range p.bars {
		top := y + titleHeight + i*barStep
		color := "#9ca3af"
		if r.Subject == "podrt" {
			color = "#2563eb"
		}
		text(b, x+labelWidth-6, top+11, `text-anchor="end"`, r.Subject)
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", left, top, max(1, r.Wall.Median*scale), barHeight, color)
		fmt.Fprintf(b, `<path d="M%.1f %d H%.1f" stroke="#111827"/>`+"\n", at(r.Wall.Q1), top+barHeight/2, at(r.Wall.Q3))
		text(b, int(at(max(r.Wall.Median, r.Wall.Q3)))+5, top+11, "", milliseconds(r.Wall.Median))
	}
	if p.floor > 0 {
		fmt.Fprintf(b, `<path d="M%.1f %d V%d" stroke="#dc2626" stroke-width="1.5" stroke-dasharray="4 3"><title>floor: %s ms</title></path>`+"\n",
			at(p.floor), y+titleHeight-4, y+p.height(), milliseconds(p.floor))
	}
}

// milliseconds has three digits that matter.
func milliseconds(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

func text(b *bytes.Buffer, x, y int, attrs, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" %s>`, x, y, attrs)
	_ = xml.EscapeText(b, []byte(s)) // a Buffer takes everything
	b.WriteString("</text>\n")
}
