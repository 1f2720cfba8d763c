package main

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// outcome is how a test ended.
type outcome string

const (
	pass outcome = "pass"
	fail outcome = "fail"
	skip outcome = "skip"
)

// result is one test's.
type result struct {
	Name    string        `json:"name"`
	Outcome outcome       `json:"outcome"`
	Reason  string        `json:"reason,omitempty"` // of a skip
	Took    time.Duration `json:"took"`             // ns
	Output  string        `json:"output,omitempty"` // of a failure
}

var (
	planLine = regexp.MustCompile(`^1\.\.(\d+)$`)
	// Timed: "ok 2 name in 8ms # skip reason".
	testLine = regexp.MustCompile(`^(ok|not ok) (\d+) (.*) in (\d+)ms(?: # skip ?(.*))?$`)
	timeout  = regexp.MustCompile(` # timeout after \d+s$`)
)

// parseTAP reads what bats --tap --timing writes for one file. planned is the
// number of tests that it announced; a file that broke off has fewer results.
func parseTAP(text string) (results []result, planned int) {
	var output []string
	end := func() {
		if n := len(results); n > 0 && results[n-1].Outcome == fail {
			results[n-1].Output = strings.Join(output, "\n")
		}
		output = nil
	}
	for line := range strings.Lines(text) {
		// It comes through a terminal.
		line = strings.TrimRight(line, "\r\n")
		if m := planLine.FindStringSubmatch(line); m != nil && planned == 0 {
			planned, _ = strconv.Atoi(m[1])
			continue
		}
		m := testLine.FindStringSubmatch(timeout.ReplaceAllString(line, ""))
		if m == nil {
			output = append(output, strings.TrimPrefix(line, "# "))
			continue
		}
		end()
		n, _ := strconv.Atoi(m[4])
		r := result{Name: m[3], Outcome: pass, Took: time.Duration(n) * time.Millisecond}
		switch {
		case m[1] == "not ok":
			r.Outcome = fail
		case strings.Contains(line, " # skip"):
			r.Outcome, r.Reason = skip, m[5]
		}
		results = append(results, r)
	}
	end()
	return results, planned
}
