package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func timed(name, metric, subject string, median float64) row {
	return row{Case: name, Metric: metric, Subject: subject, Wall: spread{median, median, median, median, median}}
}

func TestPlot(t *testing.T) {
	r := &results{
		Machine: &machine{CPU: "<A & B>", Cores: 2, Kernel: "6", Tools: []*tool{{Name: "podrt", podrt: true}, {Name: "runc", Version: "1"}}},
		Rows: []row{
			timed("start", "", "podrt", 3), // not drawn
			timed("run", "", "podrt", 20), timed("run", "", "runc", 30), timed("run", "", floorProcess, 4), timed("run", "", floorWork, 3),
			timed("pod-5", "up", "podrt", 40), timed("pod-5", "down", "podrt", 5), timed("pod-5", "both", "podrt", 45),
		},
	}
	svg := string(plot(r))
	bars, floors, texts := 0, 0, map[string]bool{}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the plot is not XML: %v\n%s", err, svg)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			for _, a := range tok.Attr {
				switch {
				case tok.Name.Local == "rect" && a.Name.Local == "height" && a.Value == "14":
					bars++
				case a.Name.Local == "stroke-dasharray":
					floors++
				}
			}
		case xml.CharData:
			texts[string(tok)] = true
		}
	}
	if bars != 4 || floors != 1 {
		t.Errorf("%d bars and %d floors; want 4 and 1\n%s", bars, floors, svg)
	}
	for _, want := range []string{
		"run /bin/true, namespaces of its own", "a pod of 5, up", "a pod of 5, down", "runc", "30.0", "5.00",
		"<A & B>, 2 cores, Linux 6, runc 1; dashed: the kernel's floor",
	} {
		if !texts[want] {
			t.Errorf("no text %q in the plot\n%s", want, svg)
		}
	}
}

// TestPlottedCases keeps the plot's list and the cases together.
func TestPlottedCases(t *testing.T) {
	names := map[string]bool{}
	for _, c := range cases() {
		if names[c.name] {
			t.Errorf("two cases %q", c.name)
		}
		names[c.name] = true
	}
	for name := range plotted {
		if !names[name] {
			t.Errorf("plotted case %q does not exist", name)
		}
	}
	for _, r := range ratios {
		if !names[r.name] {
			t.Errorf("target's case %q does not exist", r.name)
		}
	}
}

func TestPlotOfNothing(t *testing.T) {
	if svg := string(plot(&results{})); !strings.HasSuffix(svg, "</svg>\n") {
		t.Errorf("plot of no results = %q; want an SVG", svg)
	}
}
