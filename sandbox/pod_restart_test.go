package sandbox

import (
	"slices"
	"testing"
	"time"
)

func TestRestarts(t *testing.T) {
	for _, tt := range []struct {
		policy string
		want   []bool // after status 0, 1, 137
	}{
		{RestartNever, []bool{false, false, false}},
		{RestartOnFailure, []bool{false, true, true}},
		{RestartAlways, []bool{true, true, true}},
	} {
		s := &PodSpec{RestartPolicy: tt.policy}
		for i, status := range []int{0, 1, 137} {
			if got := s.restarts(status); got != tt.want[i] {
				t.Errorf("%s: restarts(%d) = %t; want %t", tt.policy, status, got, tt.want[i])
			}
		}
		if got, want := s.restartsAny(), slices.Contains(tt.want, true); got != want {
			t.Errorf("%s: restartsAny() = %t; want %t", tt.policy, got, want)
		}
	}
}

func TestBackOff(t *testing.T) {
	for _, tt := range []struct {
		name           string
		initial, most  int64
		ran, want, end time.Duration // how long each run took, but the last; what the waits add up to; the last one
		runs           int
	}{
		{"the kubelet's", 10, 300, time.Second, (0 + 10 + 20 + 40 + 80 + 160 + 300 + 300) * time.Second, 300 * time.Second, 8},
		{"always the same", 5, 5, 0, 15 * time.Second, 5 * time.Second, 4},
		{"no more than that", 2, 3, 0, 8 * time.Second, 3 * time.Second, 4},
		{"almost long enough", 10, 300, 600*time.Second - 1, 30 * time.Second, 20 * time.Second, 3},
		{"long runs", 10, 300, 600 * time.Second, 0, 0, 5},
	} {
		b := (&PodSpec{RestartBackOff: &RestartBackOff{InitialSeconds: tt.initial, MaxSeconds: tt.most}}).backOff()
		var sum, last time.Duration
		for range tt.runs {
			last = b.next(tt.ran)
			sum += last
		}
		if sum != tt.want || last != tt.end {
			t.Errorf("%s: %d waits of %v, the last one %v; want %v and %v", tt.name, tt.runs, sum, last, tt.want, tt.end)
		}
		if got := b.next(2 * time.Duration(tt.most) * time.Second); got != 0 {
			t.Errorf("%s: after a long run it waits %v; want it to begin anew", tt.name, got)
		}
	}
}
