package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// baseline is what the tests of one rung came to with runc, as it is committed:
// lines of a word and its value,
//
//	runc VERSION of the module
//	rung NAME
//	file NAME SECONDS that it took, then its tests:
//	pass|fail|skip NAME
type baseline struct {
	version string
	rung    string
	runs    []*fileRun
}

// write writes it to path.
func (b *baseline) write(path string) error {
	var s strings.Builder
	fmt.Fprintf(&s, "runc %s\nrung %s\n", b.version, b.rung)
	for _, f := range b.runs {
		fmt.Fprintf(&s, "file %s %.0f\n", f.File, f.Took.Seconds())
		for _, r := range f.Results {
			fmt.Fprintf(&s, "%s %s\n", r.Outcome, r.Name)
		}
	}
	return os.WriteFile(path, []byte(s.String()), 0o644)
}

// readBaseline reads what write wrote. One of another version than that of the
// module is refused: it speaks of other tests.
func readBaseline(path, version string) (*baseline, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var b baseline
	lines := bufio.NewScanner(strings.NewReader(string(text)))
	for n := 1; lines.Scan(); n++ {
		word, value, _ := strings.Cut(lines.Text(), " ")
		var file *fileRun
		if len(b.runs) > 0 {
			file = b.runs[len(b.runs)-1]
		}
		ok := value != ""
		switch {
		case word == "runc":
			b.version = value
		case word == "rung":
			b.rung = value
		case word == "file":
			f := &fileRun{Rung: b.rung, Runtime: "runc"}
			var seconds int
			_, err := fmt.Sscan(value, &f.File, &seconds)
			f.Took = time.Duration(seconds) * time.Second
			b.runs = append(b.runs, f)
			ok = err == nil
		case slices.Contains([]outcome{pass, fail, skip}, outcome(word)) && file != nil:
			file.Results = append(file.Results, result{Name: value, Outcome: outcome(word)})
		default:
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("%s:%d: %q: not a baseline's line", path, n, lines.Text())
		}
	}
	if b.version != version {
		return nil, fmt.Errorf("baseline %q is of runc %q and go.mod requires %q: write it anew with -write-baseline", path, b.version, version)
	}
	if len(b.runs) == 0 {
		return nil, fmt.Errorf("baseline %q holds no file", path)
	}
	return &b, nil
}
