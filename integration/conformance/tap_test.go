package main

import (
	"reflect"
	"testing"
	"time"
)

func TestParseTAP(t *testing.T) {
	const text = "1..5\r\n" +
		"ok 1 a b in 9ms\r\n" +
		"ok 2 mount (ro # nosuid in 2ms) in 80ms # skip test requires cgroups_v1\r\n" +
		"# a remark of the one before\r\n" +
		"not ok 3 slow in 120019ms # timeout after 120s\r\n" +
		"# (in test file x.bats, line 3)\r\n" +
		"#   `false' failed\r\n" +
		"ok 4 no reason in 5ms # skip\r\n"
	want := []result{
		{Name: "a b", Outcome: pass, Took: 9 * time.Millisecond},
		{Name: "mount (ro # nosuid in 2ms)", Outcome: skip, Reason: "test requires cgroups_v1", Took: 80 * time.Millisecond},
		{Name: "slow", Outcome: fail, Took: 120019 * time.Millisecond, Output: "(in test file x.bats, line 3)\n  `false' failed"},
		{Name: "no reason", Outcome: skip, Took: 5 * time.Millisecond},
	}
	got, planned := parseTAP(text)
	if !reflect.DeepEqual(got, want) || planned != 5 {
		t.Errorf("parseTAP = %+v, %d; want %+v, 5", got, planned, want)
	}
	if got, planned := parseTAP("bats: no such file\n"); len(got) != 0 || planned != 0 {
		t.Errorf("parseTAP of a message = %+v, %d; want none", got, planned)
	}
}
