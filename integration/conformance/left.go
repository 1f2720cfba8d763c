package main

import (
	"regexp"
	"slices"
	"strings"
)

// tidy is a test that the suite does not have: that its tests of one file left
// no cgroup and no mount behind.
const tidy = "(nothing is left of this file's tests)"

// A line per thing left, and one that says that all were told.
const (
	leftMark = "left: "
	leftEnd  = leftMark + "no more"
)

// Commands of the shell that runs a file: what is there before, and what is there
// after it that was not.
const (
	listLeft   = `{ find /sys/fs/cgroup -mindepth 1 -type d | sed 's/^/cgroup /'; awk '{ print "mount " $5 }' /proc/self/mountinfo; }`
	noteBefore = listLeft + " >/run/before"
	tellLeft   = listLeft + " | grep -vxFf /run/before | sed 's/^/" + leftMark + "/'; echo '" + leftEnd + "'"
)

// random are the parts of names that differ from run to run.
var random = regexp.MustCompile(`\d+|[.-][A-Za-z0-9]{6,10}(/|$)`)

// cutLeft takes what tellLeft said out of text; looked is whether it did.
func cutLeft(text string) (rest string, left []string, looked bool) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line == leftEnd+"\n" {
			looked = true
		} else if what, ok := strings.CutPrefix(line, leftMark); ok {
			left = append(left, random.ReplaceAllString(strings.TrimSpace(what), "*"))
		} else {
			b.WriteString(line)
		}
	}
	slices.Sort(left)
	return b.String(), slices.Compact(left), looked
}

func tidyResult(left []string) result {
	if len(left) == 0 {
		return result{Name: tidy, Outcome: pass}
	}
	return result{Name: tidy, Outcome: fail, Output: strings.Join(left, "\n")}
}
