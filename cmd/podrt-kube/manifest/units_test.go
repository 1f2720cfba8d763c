package manifest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestExpand(t *testing.T) {
	values := map[string]string{"A": "1", "B": "$(A)", "E": ""}
	get := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for _, c := range []struct {
		in, want string
		unknown  []string
	}{
		{"", "", nil},
		{"plain", "plain", nil},
		{"$(A)", "1", nil},
		{"x$(A)y$(A)", "x1y1", nil},
		{"$(B)", "$(A)", nil}, // once
		{"[$(E)]", "[]", nil},
		{"$(C)", "$(C)", []string{"C"}},
		{"$$(A)", "$(A)", nil},
		{"$$$(A)", "$1", nil},
		{"$", "$", nil},
		{"a$", "a$", nil},
		{"$A $(A", "$A $(A", nil},
		{"$()", "$()", []string{""}},
		{"$(A)$", "1$", nil},
		{")$(A", ")$(A", nil},
		{"$(A)$(A$(A", "1$(A$(A", nil},
	} {
		if got, unknown := expand(c.in, get, 1000); got != c.want || !slices.Equal(unknown, c.unknown) {
			t.Errorf("expand(%q) = %q, %q; want %q, %q", c.in, got, unknown, c.want, c.unknown)
		}
	}
}

// TestExpandLong: neither a long string nor a long result takes long.
func TestExpandLong(t *testing.T) {
	open := strings.Repeat("$(", 8<<20)
	if got, _ := expand(open, nil, len(open)); got != open {
		t.Error("what is not closed has changed")
	}
	long := strings.Repeat("x", 1<<20)
	if got, _ := expand(strings.Repeat("$(A)", 1<<20), func(string) (string, bool) { return long, true }, 1000); len(got) != len(long) {
		t.Errorf("a result of %d bytes with a limit of 1000; want it to end with the first variable", len(got))
	}
}

// TestCharge: one large ConfigMap in many volumes makes no larger bundle than may be.
func TestCharge(t *testing.T) {
	o := new(Objects)
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: '" + strings.Repeat("x", 1<<20) + "'}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: a, image: busybox}]\n  volumes:\n"
	for i := range maxBundle>>20 + 9 {
		text += fmt.Sprintf("  - {name: v%d, configMap: {name: c}}\n", i)
	}
	if err := o.Read("x", []byte(text)); err != nil {
		t.Fatal(err)
	}
	const want = `x: Pod "p": spec.volumes[64].configMap: with it there are more than 67108864 bytes of variables, arguments and files`
	if err := Check(o.Pods[0], o, testHost()); err == nil || err.Error() != want {
		t.Errorf("got %v; want %s", err, want)
	}
}

func TestPullPolicy(t *testing.T) {
	for image, want := range map[string]corev1.PullPolicy{
		"busybox":                        corev1.PullAlways,
		"busybox:latest":                 corev1.PullAlways,
		"busybox:1.36":                   corev1.PullIfNotPresent,
		"localhost:5000/busybox":         corev1.PullAlways,
		"localhost:5000/busybox:1":       corev1.PullIfNotPresent,
		"busybox@sha256:0123":            corev1.PullIfNotPresent,
		"localhost:5000/busybox@sha256:": corev1.PullIfNotPresent,
	} {
		if got := pullPolicy(image); got != want {
			t.Errorf("pullPolicy(%q) = %s; want %s", image, got, want)
		}
	}
}

// TestAmounts: a sum is never less than what it is of.
func TestAmounts(t *testing.T) {
	sum := amounts{}
	for range 20 {
		sum.add(amounts{corev1.ResourceMemory: maxAmount(corev1.ResourceMemory)})
	}
	if got := sum[corev1.ResourceMemory]; got != math.MaxInt64 {
		t.Errorf("20 times the most is %d; want the most an int64 has", got)
	}
}

// TestCPU: the kubelet's numbers.
func TestCPU(t *testing.T) {
	for _, c := range []struct {
		milli  int64
		shares uint64
		quota  int64
	}{
		{0, 2, 1000},
		{1, 2, 1000},
		{10, 10, 1000},
		{50, 51, 5000},
		{100, 102, 10000},
		{250, 256, 25000},
		{1000, 1024, 100000},
		{4000, 4096, 400000},
	} {
		if s, q := *shares(c.milli), *quota(c.milli); s != c.shares || q != c.quota {
			t.Errorf("%dm: shares %d, quota %d; want %d, %d", c.milli, s, q, c.shares, c.quota)
		}
	}
}

func TestQoS(t *testing.T) {
	list := func(cpu, memory string) corev1.ResourceList {
		l := corev1.ResourceList{}
		if cpu != "" {
			l[corev1.ResourceCPU] = resource.MustParse(cpu)
		}
		if memory != "" {
			l[corev1.ResourceMemory] = resource.MustParse(memory)
		}
		return l
	}
	for _, c := range []struct {
		name             string
		requests, limits corev1.ResourceList
		want             corev1.PodQOSClass
		adj              int // on a host with 8 GiB
	}{
		{"none", nil, nil, corev1.PodQOSBestEffort, 1000},
		{"equal", list("1", "1Gi"), list("1000m", "1024Mi"), corev1.PodQOSGuaranteed, -997},
		{"memory only", list("", "1Gi"), list("", "1Gi"), corev1.PodQOSBurstable, 875},
		{"zero", list("0", "0"), nil, corev1.PodQOSBestEffort, 1000},
		{"cpu", list("1", ""), nil, corev1.PodQOSBurstable, 999},
		{"all of it", list("", "8Gi"), nil, corev1.PodQOSBurstable, 3},
		{"more", list("", "80Gi"), nil, corev1.PodQOSBurstable, 3},
	} {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "a", Resources: corev1.ResourceRequirements{Requests: c.requests, Limits: c.limits},
		}}}}
		k := &compiler{pod: pod, host: testHost(), out: &Bundle{}}
		k.resources.qos = qos(&pod.Spec)
		if adj := k.oomScoreAdj(&pod.Spec.Containers[0]); k.resources.qos != c.want || adj != c.adj {
			t.Errorf("%s: %s, oom_score_adj %d; want %s, %d", c.name, k.resources.qos, adj, c.want, c.adj)
		}
	}
}

func TestPageSize(t *testing.T) {
	for bytes, want := range map[int64]string{64 << 10: "64KB", 2 << 20: "2MB", 32 << 20: "32MB", 1 << 30: "1GB"} {
		if got := pageSize(bytes); got != want {
			t.Errorf("pageSize(%d) = %q; want %q", bytes, got, want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for _, c := range []struct {
		add, drop []corev1.Capability
		want      []string
	}{
		{nil, []corev1.Capability{"all"}, []string{}},
		{[]corev1.Capability{"NET_ADMIN"}, []corev1.Capability{"ALL"}, []string{"CAP_NET_ADMIN"}},
		{[]corev1.Capability{"ALL"}, nil, allCapabilities},
		{[]corev1.Capability{"kill"}, []corev1.Capability{
			"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
			"SETFCAP", "SETGID", "SETPCAP", "CAP_SETUID",
		}, []string{"CAP_KILL", "CAP_SYS_CHROOT"}},
	} {
		got := capabilities(&corev1.Capabilities{Add: c.add, Drop: c.drop}, false)
		if !slices.Equal(got, c.want) {
			t.Errorf("add %v, drop %v: %v; want %v", c.add, c.drop, got, c.want)
		}
	}
	if !slices.IsSorted(allCapabilities) || !slices.IsSorted(defaultCapabilities) || len(allCapabilities) != 41 {
		t.Errorf("the lists are not sorted, or not of 41 capabilities but %d", len(allCapabilities))
	}
}
