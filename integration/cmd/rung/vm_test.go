package main

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestDeal(t *testing.T) {
	const listing = "TestA\nTestB\nBenchmarkX\nTestC\nExampleD\n"
	for _, c := range []struct {
		n    int
		want [][]string
	}{
		{1, [][]string{{"TestA", "TestB", "TestC", "ExampleD"}}},
		{2, [][]string{{"TestA", "TestC"}, {"TestB", "ExampleD"}}},
		{9, [][]string{{"TestA"}, {"TestB"}, {"TestC"}, {"ExampleD"}}},
	} {
		if got := deal(listing, c.n); !reflect.DeepEqual(got, c.want) {
			t.Errorf("deal(%d) = %q; want %q", c.n, got, c.want)
		}
	}
	if got := deal("", 2); len(got) != 0 {
		t.Errorf("deal of nothing = %q; want none", got)
	}
}

func TestShardsLeavesAlone(t *testing.T) {
	for _, args := range [][]string{
		{"/bin/sh", "-c", "true"},
		{"/nowhere/x.test", "-test.run=TestA/sub"},
		{"/nowhere/x.test", "-test.bench=."},
		{"/nowhere/x.test", "-test.list=."},
	} {
		if got, err := shards(context.Background(), args, 2); err != nil || got != nil {
			t.Errorf("shards(%q) = %q, %v; want none", args, got, err)
		}
	}
}

func TestWithRun(t *testing.T) {
	got := withRun([]string{"/x.test", "-test.v=true", "-test.run=Test", "--test.run=."}, []string{"TestA", "TestB"})
	want := []string{"/x.test", "-test.run=^(TestA|TestB)$", "-test.v=true"}
	if !slices.Equal(got, want) {
		t.Errorf("withRun = %q; want %q", got, want)
	}
}

func TestTestOutputDirs(t *testing.T) {
	dir := t.TempDir()
	got := testOutputDirs([]string{
		"-test.v=true", "-test.coverprofile=/a/b/c.out", "-test.testlogfile=/a/b/log", "-test.cpuprofile=rel.out",
		"-test.outputdir=" + dir, "-test.trace=" + dir + "/trace", "positional=/x/y",
	})
	if want := []string{"/a/b", dir}; !slices.Equal(got, want) {
		t.Errorf("testOutputDirs = %q; want %q", got, want)
	}
}

func TestQuote(t *testing.T) {
	got := quote("a-b/c=d", "", "x y", "it's", "$HOME")
	if want := `a-b/c=d '' 'x y' 'it'\''s' '$HOME'`; got != want {
		t.Errorf("quote = %s; want %s", got, want)
	}
}

func TestAgain(t *testing.T) {
	for _, c := range []struct {
		args, command []string
		want          string
	}{
		{
			[]string{"-cpus", "2", "ls", "-l x"},
			[]string{"/bin/ls", "-l x"},
			" vm -cpus 2 ls '-l x'",
		},
		{
			[]string{"-cpus", "2", "/tmp/go-build1/b001/x.test", "-test.paniconexit0", "-test.testlogfile=/tmp/x", "-test.timeout=10m0s", "-test.run=TestA|TestB", "arg"},
			[]string{"/tmp/go-build1/b001/x.test", "-test.paniconexit0", "-test.testlogfile=/tmp/x", "-test.timeout=10m0s", "-test.run=TestA|TestB", "arg"},
			" vm -cpus 2' . -timeout=10m0s '-run=TestA|TestB' arg",
		},
	} {
		if got := again(c.args, c.command); !strings.HasPrefix(got, "cd /") || !strings.HasSuffix(got, c.want) {
			t.Errorf("again(%q) = %s; want …%s", c.args, got, c.want)
		}
	}
}
