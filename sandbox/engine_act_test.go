package sandbox

import "testing"

// TestEngineFitsRemoval: a name without its namespace does not say which pod is
// to be removed.
func TestEngineFitsRemoval(t *testing.T) {
	p := &Pod{rec: podRecord{UID: "5a11db0c", Name: "default/web", Engine: &enginePod{Namespace: "default", Name: "web", UID: "0aa1"}}}
	bare := &Pod{rec: podRecord{UID: "5a11db0d", Name: "web", Engine: &enginePod{Name: "web"}}}
	for _, tt := range []struct {
		p    *Pod
		ref  string
		want bool
	}{
		{p, "default/web", true},
		{p, "0aa1", true},
		{p, "web", false},
		{p, "0aa", false},
		{bare, "web", false},
		{bare, "", false},
		{&Pod{rec: podRecord{Name: "web"}}, "web", false},
	} {
		if got := tt.p.engineFitsRemoval(tt.ref); got != tt.want {
			t.Errorf("engineFitsRemoval(%q) of %q = %v; want %v", tt.ref, tt.p.Name(), got, tt.want)
		}
	}
}

func TestRecordVersion(t *testing.T) {
	for _, tt := range []struct {
		rec  podRecord
		want int
	}{
		{podRecord{Spec: &PodSpec{}}, 1},
		{podRecord{Spec: &PodSpec{}, Engine: &enginePod{}}, 2},
		{podRecord{Spec: &PodSpec{}, CgroupUnit: "podrt-x.service"}, 2},
		{podRecord{Spec: &PodSpec{RestartPolicy: RestartNever}, Network: &networkRecord{}}, 3},
		{podRecord{Spec: &PodSpec{RestartPolicy: RestartAlways}, Network: &networkRecord{}}, 4},
		{podRecord{Spec: &PodSpec{InitContainers: []PodContainer{{}}}}, 5},
		{podRecord{Spec: &PodSpec{Containers: []PodContainer{{Lifecycle: &Lifecycle{}}}}}, 1},
		{podRecord{Spec: &PodSpec{InitContainers: []PodContainer{{}}, Containers: []PodContainer{{ReadinessProbe: &Probe{}}}}}, 6},
		{podRecord{Spec: &PodSpec{Containers: []PodContainer{{Lifecycle: &Lifecycle{PreStop: &LifecycleHandler{}}}}}}, 6},
	} {
		if got := tt.rec.version(); got != tt.want {
			t.Errorf("version() of %+v = %d; want %d", tt.rec, got, tt.want)
		}
	}
}
