package sandbox

import "testing"

func TestOOMScope(t *testing.T) {
	for _, tt := range []struct {
		name              string
		leaf, before, pod uint64
		want              string
	}{
		{"its own limit", 1, 0, 0, "container"},
		{"its own, after the pod's", 1, 2, 2, "container"},
		{"the pod's", 0, 0, 1, "pod"},
		{"the pod's once more", 0, 1, 3, "pod"},
		{"the host's", 0, 0, 0, "host"},
		{"the host's, after the pod's", 0, 2, 2, "host"},
	} {
		if got := oomScope(tt.leaf, tt.before, func() uint64 { return tt.pod }); got != tt.want {
			t.Errorf("%s: oomScope(%d, %d) of a pod with %d = %q; want %q", tt.name, tt.leaf, tt.before, tt.pod, got, tt.want)
		}
	}
	// One hit, two ends.
	for range 2 {
		if got := oomScope(0, 1, func() uint64 { return 2 }); got != "pod" {
			t.Errorf("oomScope of a container that ended with another = %q; want %q", got, "pod")
		}
	}
}
