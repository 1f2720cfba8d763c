package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The marks between which the table stands.
const (
	begin = "<!-- table: begin; written by go run ./integration/engines/table -->\n"
	end   = "<!-- table: end -->\n"
)

// replace puts the table between the marks of text.
func replace(text, table string) (string, error) {
	before, rest, ok := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", errors.New("no marks for the table")
	}
	return before + begin + "\n" + table + "\n" + end + after, nil
}

// callers are the tests' names in the words of people.
var callers = map[string]string{
	"Buildah": "buildah", "Containerd": "containerd, ctr", "CRI": "containerd, CRI", "Docker": "docker",
	"Podman": "podman", "PodmanRootless": "podman, rootless",
}

// markdown is the table: callers by name, their operations by name.
func (t *table) markdown() string {
	var b strings.Builder
	var notes []string
	b.WriteString("| caller | operation | rung | podrt | runc |\n| --- | --- | --- | --- | --- |\n")
	rows := slices.Clone(t.rows)
	slices.SortStableFunc(rows, func(x, y *row) int {
		if c := strings.Compare(x.name(), y.name()); c != 0 {
			return c
		}
		return strings.Compare(x.operation, y.operation)
	})
	for _, r := range rows {
		cells := map[string]string{}
		for _, runtime := range []string{podrt, runc} {
			cells[runtime] = cell(r.outcomes[runtime], &notes)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.name(), r.operation, strings.Join(r.rungs, ", "), cells[podrt], cells[runc])
	}
	for _, key := range slices.SortedFunc(maps.Keys(t.contract), func(x, y [2]string) int {
		return strings.Compare(x[0]+"\x00"+x[1], y[0]+"\x00"+y[1])
	}) {
		n := t.contract[key]
		result := "as runc 1.5"
		if n.different > 0 {
			result = fmt.Sprintf("%d DIFFER", n.different)
		}
		fmt.Fprintf(&b, "| contract: %s | %d rows of calls | %s | %s | |\n", strings.ReplaceAll(key[0], "_", " "), n.same+n.different, key[1], result)
	}
	if len(notes) > 0 {
		b.WriteString("\n")
	}
	for i, note := range notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, note)
	}
	return b.String()
}

func (r *row) name() string {
	caller, systemd := strings.CutPrefix(r.caller, "Systemd")
	name, ok := callers[caller]
	if !ok {
		name = strings.ToLower(caller)
	}
	if systemd {
		name += ", systemd"
	}
	return name
}

// cell says what came of an operation, once if it is the same on all rungs.
// Reasons are notes.
func cell(outcomes []outcome, notes *[]string) string {
	var texts []string
	for _, o := range outcomes {
		text := o.String()
		if o.result == "skip" && o.reason != "" {
			i := slices.Index(*notes, o.reason)
			if i < 0 {
				i = len(*notes)
				*notes = append(*notes, o.reason)
			}
			text = fmt.Sprintf("fails (%d)", i+1)
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, ", ")
}

// verdict is an error if anything works with runc and not with podrt, or came
// out otherwise than the tests want.
func (t *table) verdict() error {
	var errs []error
	for _, r := range t.rows {
		for i, o := range r.outcomes[podrt] {
			works := r.outcomes[runc][i].result == "pass"
			if o.result == "fail" || works && o.result != "pass" {
				errs = append(errs, fmt.Errorf("%s, %s, %s: podrt %s, runc %s", r.name(), r.operation, r.rungs[i], o, r.outcomes[runc][i]))
			}
		}
	}
	for key, n := range t.contract {
		if n.different > 0 {
			errs = append(errs, fmt.Errorf("contract, %s, %s: %d rows differ from runc's", key[0], key[1], n.different))
		}
	}
	if len(t.rows) == 0 {
		errs = append(errs, errors.New("no test ran"))
	}
	return errors.Join(errs...)
}
