package rung

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// settleTime is how long [Privileged] waits for what the kernel frees late:
// a network namespace goes 0.08 to 4.7 s after its last user, and takes the far
// ends of its veth pairs with it; orphans are reaped by PID 1.
var settleTime = 15 * time.Second

// objects maps what identifies a kernel object to the line a human reads.
type objects map[string]string

// section is one kind of object that a test must leave as it found it.
type section struct {
	name string
	list func(*view) (objects, error)
	// onlyMore: the test may leave less than it found.
	onlyMore bool
}

// sections are read in this order.
func sections() []section {
	return []section{
		{name: "process", list: listProcesses},
		{name: "cgroup", list: listCgroups},
		{name: "mount", list: listMounts},
		{name: "namespace", list: listNamespaces, onlyMore: true},
		{name: "link", list: listLinks},
		{name: "address", list: listAddresses},
		{name: "route", list: listRoutes},
		{name: "neighbour", list: listNeighbours},
		{name: "qdisc", list: listQdiscs},
		{name: "nft", list: listNft},
		// The collector may close a file that an earlier test dropped.
		{name: "fd", list: listFds, onlyMore: true},
	}
}

// Snapshot is what the kernel holds for the calling process's world:
//
//   - the processes of its PID namespace, zombies too, except kernel threads
//   - the cgroup directories of the unified tree
//   - the mounts of its mount namespace
//   - every namespace that a process, a descriptor or a mount of these holds
//   - links, addresses, routes, told neighbours and queueing disciplines of its
//     network namespace, and its nftables objects
//   - its own descriptors
type Snapshot struct {
	sections []section
	objects  []objects // of the section with the same index
}

// Take reads a snapshot.
func Take() (*Snapshot, error) { return take(sections()) }

func take(sections []section) (*Snapshot, error) {
	s := &Snapshot{sections: sections, objects: make([]objects, len(sections))}
	var v view
	for i, sec := range sections {
		var err error
		if s.objects[i], err = sec.list(&v); err != nil {
			return nil, fmt.Errorf("list %s: %w", sec.name, err)
		}
	}
	return s, nil
}

// Diff returns a line for each object that only one of the snapshots has, "-"
// for those of s and "+" for those of after; empty if there is none.
func (s *Snapshot) Diff(after *Snapshot) string {
	var b strings.Builder
	for i, sec := range s.sections {
		diff(&b, sec, s.objects[i], after.objects[i])
	}
	return b.String()
}

func diff(b *strings.Builder, sec section, before, after objects) {
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[k]; !ok && !sec.onlyMore {
			fmt.Fprintf(b, "- %s %s\n", sec.name, before[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[k]; !ok {
			fmt.Fprintf(b, "+ %s %s\n", sec.name, after[k])
		}
	}
}

// Settle waits until the world is again as it was in s, at most for limit, and
// returns the difference that is left; empty if there is none.
//
// It reads again and again: no event tells when a network namespace is gone.
func (s *Snapshot) Settle(limit time.Duration) string {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		left := s.left()
		if left == "" || time.Now().After(deadline) {
			return left
		}
		time.Sleep(pause)
	}
}

// left is the difference between s and now.
func (s *Snapshot) left() string {
	now, err := take(s.sections)
	if err != nil {
		return fmt.Sprintf("cannot look: %v\n", err)
	}
	return s.Diff(now)
}
