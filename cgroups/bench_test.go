package cgroups

import (
	"context"
	"errors"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// benchPod makes a cgroup with two processes, each in a leaf.
func benchPod(b *testing.B) Path {
	b.Helper()
	root, err := Root()
	if err != nil {
		b.Fatal(err)
	}
	p := root.Leaf("podrt-bench").Leaf("pod")
	made, err := Create(p)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(p.Kill(), p.Remove(context.Background()), RemoveMade(made)); err != nil {
			b.Error(err)
		}
	})
	if err := p.Enable(); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"one", "two"} {
		leaf, err := p.CreateLeaf(name)
		if err != nil {
			b.Fatal(err)
		}
		start(b, leaf, "idle").ready()
	}
	return p
}

func BenchmarkFreezeThaw(b *testing.B) {
	rung.Privileged(b)
	p := benchPod(b)
	for b.Loop() {
		if err := errors.Join(p.Freeze(b.Context()), p.Thaw(b.Context())); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStats(b *testing.B) {
	rung.Privileged(b)
	p := benchPod(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Stats(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateEnableRemove(b *testing.B) {
	rung.Privileged(b)
	p := benchPod(b).parent().Leaf("other")
	for b.Loop() {
		made, err := Create(p)
		if err != nil {
			b.Fatal(err)
		}
		if err := errors.Join(p.Enable(), p.Remove(b.Context()), RemoveMade(made)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKillRemove is from the kill of a running process to no cgroup.
func BenchmarkKillRemove(b *testing.B) {
	rung.Privileged(b)
	p := benchPod(b)
	for b.Loop() {
		b.StopTimer()
		leaf, err := p.CreateLeaf("victim")
		if err != nil {
			b.Fatal(err)
		}
		c := start(b, leaf, "idle").ready()
		b.StartTimer()
		if err := errors.Join(leaf.Kill(), leaf.Remove(b.Context())); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		c.wait()
		b.StartTimer()
	}
}
