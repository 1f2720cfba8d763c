package sandbox

import (
	"testing"
	"time"
)

func TestRestarts(t *testing.T) {
	for _, tt := range []struct {
		pod, own string
		main     string // whether it is started again after status 0, 1, 137
		init     string
		role     Role // of an init container
		any      bool
	}{
		{RestartNever, "", "nnn", "nnn", RoleInit, false},
		{RestartOnFailure, "", "nyy", "nyy", RoleInit, true},
		{RestartAlways, "", "yyy", "nyy", RoleInit, true},
		{RestartNever, RestartAlways, "yyy", "yyy", RoleSidecar, true},
		{RestartNever, RestartOnFailure, "nyy", "nyy", RoleInit, true},
		{RestartAlways, RestartOnFailure, "nyy", "nyy", RoleInit, true},
		{RestartAlways, RestartNever, "nnn", "nnn", RoleInit, false},
	} {
		s := &PodSpec{
			RestartPolicy:  tt.pod,
			InitContainers: []PodContainer{{Name: "init", RestartPolicy: tt.own}},
			Containers:     []PodContainer{{Name: "main", RestartPolicy: tt.own}},
		}
		for name, want := range map[string]string{"main": tt.main, "init": tt.init, "added": "nnn"} {
			got := ""
			for _, status := range []int{0, 1, 137} {
				got += map[bool]string{true: "y", false: "n"}[s.restarts(name, status)]
			}
			if got != want {
				t.Errorf("%s in a pod of %s: restarts(%q) = %s after 0, 1, 137; want %s", tt.own, tt.pod, name, got, want)
			}
		}
		if got := s.role("init"); got != tt.role || s.role("main") != RoleMain {
			t.Errorf("%s in a pod of %s: role %q; want %q", tt.own, tt.pod, got, tt.role)
		}
		if got := s.restartsAny(); got != tt.any || !s.startsLater() {
			t.Errorf("%s in a pod of %s: restartsAny() = %t; want %t", tt.own, tt.pod, got, tt.any)
		}
	}
	if s := (&PodSpec{RestartPolicy: RestartNever, Containers: []PodContainer{{Name: "main"}}}); s.startsLater() {
		t.Error("startsLater() of a pod that starts once")
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
