package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// listed is how many containers there are to list.
const listed = 1000

// listCase lists many containers. One of them is real and runs; the others are
// copies of its state directory under other ids. So each entry costs a runtime
// what a real one would (read the state, look at the process, its cgroup and
// its files), only that the process and the cgroup are the same for all: the
// kernel finds them in its caches, for every runtime alike.
func listCase(l *lab) (st stage, err error) {
	ids, deleteRunning, err := l.running("list")
	var copies []string
	st.done = func() error {
		for _, dir := range copies {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
		return deleteRunning()
	}
	if err != nil {
		return st, err
	}
	for _, t := range l.tools {
		id, ok := ids[t.Name]
		if !ok {
			continue
		}
		for i := range listed - 1 {
			// Of the same length: what is printed is as long for all.
			name := fmt.Sprintf("%s-%03d", id, i)
			copies = append(copies, filepath.Join(t.root, name))
			if err := copyState(filepath.Join(t.root, id), filepath.Join(t.root, name), id, name); err != nil {
				return st, err
			}
		}
		s := l.single(t.Name, func() command { return t.do("list") })
		st.subjects = append(st.subjects, l.checked(s, func(out string) error {
			if n := strings.Count(out, "running"); n != listed {
				return fmt.Errorf("list shows %d running containers; want %d\n%.400s", n, listed, out)
			}
			return nil
		}))
	}
	return st, nil
}

// copyState copies a container's state directory, with its id replaced in the
// files that are JSON.
func copyState(from, to, id, name string) error {
	if err := os.Mkdir(to, 0o711); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		b = bytes.ReplaceAll(b, []byte(`"id":"`+id+`"`), []byte(`"id":"`+name+`"`))
		b = bytes.ReplaceAll(b, []byte(`"id": "`+id+`"`), []byte(`"id": "`+name+`"`))
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}
