package manifest

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The kubelet's ways from requests and limits to cgroups
// (k8s.io/kubernetes/pkg/kubelet/cm/helpers_linux.go).
const (
	cpuPeriod = 100000 // µs
	minQuota  = 1000   // µs, the kernel's least
	minShares = 2
)

// shares is what a CPU request weighs; the runtime makes a cpu.weight of it.
func shares(milli int64) *uint64 {
	return new(uint64(max(minShares, milli*1024/1000)))
}

// quota is the time, in µs of each cpuPeriod, of a CPU limit.
func quota(milli int64) *int64 { return new(max(minQuota, milli*cpuPeriod/1000)) }

// amounts are requests or limits of what cgroups know.
type amounts map[corev1.ResourceName]int64 // cpu in thousandths, others in bytes

func amountsOf(list corev1.ResourceList) amounts {
	out := amounts{}
	for name, q := range list {
		out[name] = q.Value()
		if name == corev1.ResourceCPU {
			out[name] = q.MilliValue()
		}
	}
	return out
}

// add adds b, which like all amounts is at most the largest there is.
func (a amounts) add(b amounts) {
	for name, n := range b {
		a[name] = min(a[name], math.MaxInt64-n) + n
	}
}

func (a amounts) atLeast(b amounts) {
	for name, n := range b {
		a[name] = max(a[name], n)
	}
}

// podAmounts is what a pod has when it needs most: all containers and sidecars, or
// an init container and the sidecars before it (KEP-753).
func podAmounts(s *corev1.PodSpec, of func(*corev1.Container) corev1.ResourceList) amounts {
	all, sidecars, inits := amounts{}, amounts{}, amounts{}
	for i := range s.Containers {
		all.add(amountsOf(of(&s.Containers[i])))
	}
	for i := range s.InitContainers {
		k := &s.InitContainers[i]
		own := amountsOf(of(k))
		if sidecar(k) {
			sidecars.add(own)
			inits.atLeast(sidecars)
			continue
		}
		own.add(sidecars)
		inits.atLeast(own)
	}
	all.add(sidecars)
	all.atLeast(inits)
	return all
}

// podResources is what of the pod's resources its containers' depend on.
type podResources struct {
	requests, limits amounts
	qos              corev1.PodQOSClass
	weighed          bool // a CPU is asked for: the containers have weights
}

// podResources computes them, and the limits of the pod's cgroup.
func (c *compiler) podResources() {
	s := &c.pod.Spec
	eachContainer(s, func(at string, k *corev1.Container, init bool) {
		c.checkResources(at+".resources", &k.Resources)
	})
	if s.Resources != nil {
		c.checkResources("spec.resources", s.Resources)
	}
	if len(c.errs) > 0 {
		return // there may be no calculating with them
	}
	r := &c.resources
	r.requests = podAmounts(s, func(k *corev1.Container) corev1.ResourceList { return k.Resources.Requests })
	r.limits = podAmounts(s, func(k *corev1.Container) corev1.ResourceList { return k.Resources.Limits })
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		eachContainer(s, func(_ string, k *corev1.Container, init bool) {
			if q := k.Resources.Limits[name]; q.IsZero() {
				delete(r.limits, name) // one without a limit: the pod has none
			}
		})
	}
	if s.Resources != nil {
		for name, n := range amountsOf(s.Resources.Requests) {
			r.requests[name] = n
		}
		for name, n := range amountsOf(s.Resources.Limits) {
			r.limits[name] = n
		}
	}
	r.qos = qos(s)
	r.weighed = r.requests[corev1.ResourceCPU] > 0
	c.out.Spec.Resources = linuxResources(r.requests, r.limits, r.weighed)
	if l := c.out.Spec.Resources; l != nil && l.Memory != nil {
		l.Memory.Swap = nil // each container has none of its own
	}
}

// maxAmount is more than a host has, and little enough to calculate with.
func maxAmount(name corev1.ResourceName) int64 {
	if name == corev1.ResourceCPU {
		return 1e6
	}
	return 1 << 60
}

// bounded refuses a quantity below 0 or above a limit; beyond an int64 its value would
// be any.
func (p *problems) bounded(at string, q *resource.Quantity, limit int64) bool {
	switch {
	case q.Sign() < 0:
		p.addf(at, "%s: must not be negative", q.String())
	case q.CmpInt64(limit) > 0:
		p.addf(at, "%s: must be at most %d", q.String(), limit)
	default:
		return true
	}
	return false
}

// checkResources refuses what is not of a cgroup, and requests above their limits.
func (c *compiler) checkResources(at string, r *corev1.ResourceRequirements) {
	for _, list := range []struct {
		name string
		of   corev1.ResourceList
	}{{"limits", r.Limits}, {"requests", r.Requests}} {
		for _, name := range sortedNames(list.of) {
			q := list.of[name]
			at := key(at+"."+list.name, string(name))
			c.bounded(at, &q, maxAmount(name))
			switch {
			case name == corev1.ResourceCPU || name == corev1.ResourceMemory:
			case strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
				if size, err := resource.ParseQuantity(hugePageSize(name)); err != nil || size.Value() < 1 || size.Value()&(size.Value()-1) != 0 {
					c.addf(at, "%s: no size of pages", quote(hugePageSize(name)))
				}
			case name == corev1.ResourceEphemeralStorage && list.name == "requests":
			case name == corev1.ResourceEphemeralStorage:
				c.addf(at, "%s: nothing would enforce it", q.String())
			default:
				c.addf(at, "%s: there is no cluster that would allocate it", q.String())
			}
			if limit, ok := r.Limits[name]; ok && list.name == "requests" && q.Cmp(limit) > 0 {
				c.addf(at, "%s: is more than the limit, %s", q.String(), limit.String())
			}
		}
	}
}

func sortedNames(list corev1.ResourceList) []corev1.ResourceName {
	names := make([]corev1.ResourceName, 0, len(list))
	for name := range list {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func hugePageSize(name corev1.ResourceName) string {
	return strings.TrimPrefix(string(name), corev1.ResourceHugePagesPrefix)
}

// linuxResources are the limits of a cgroup; nil if there are none. With weighed it
// has a weight even if nothing is requested.
func linuxResources(requests, limits amounts, weighed bool) *specs.LinuxResources {
	var r specs.LinuxResources
	empty := true
	if weighed || limits[corev1.ResourceCPU] > 0 {
		r.CPU, empty = &specs.LinuxCPU{}, false
		if weighed {
			r.CPU.Shares = shares(requests[corev1.ResourceCPU])
		}
		if milli := limits[corev1.ResourceCPU]; milli > 0 {
			r.CPU.Quota, r.CPU.Period = quota(milli), new(uint64(cpuPeriod))
		}
	}
	if bytes := limits[corev1.ResourceMemory]; bytes > 0 {
		// No swap: memory and swap together are the limit.
		r.Memory, empty = &specs.LinuxMemory{Limit: &bytes, Swap: &bytes}, false
	}
	for name, bytes := range limits {
		if !strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			continue
		}
		size := resource.MustParse(hugePageSize(name))
		r.HugepageLimits = append(r.HugepageLimits, specs.LinuxHugepageLimit{Pagesize: pageSize(size.Value()), Limit: uint64(bytes)})
		empty = false
	}
	slices.SortFunc(r.HugepageLimits, func(a, b specs.LinuxHugepageLimit) int { return strings.Compare(a.Pagesize, b.Pagesize) })
	if empty {
		return nil
	}
	return &r
}

// pageSize is a size as the files of the hugetlb controller have it, such as 2MB.
func pageSize(bytes int64) string {
	for _, unit := range []string{"B", "KB", "MB"} {
		if bytes < 1024 {
			return strconv.FormatInt(bytes, 10) + unit
		}
		bytes /= 1024
	}
	return strconv.FormatInt(bytes, 10) + "GB"
}

// qos is the pod's class (k8s.io/kubernetes/pkg/apis/core/v1/helper/qos).
func qos(s *corev1.PodSpec) corev1.PodQOSClass {
	if s.Resources != nil && len(s.Resources.Requests)+len(s.Resources.Limits) > 0 {
		return qosOf([]*corev1.ResourceRequirements{s.Resources})
	}
	var all []*corev1.ResourceRequirements
	eachContainer(s, func(_ string, k *corev1.Container, init bool) { all = append(all, &k.Resources) })
	return qosOf(all)
}

func qosOf(all []*corev1.ResourceRequirements) corev1.PodQOSClass {
	guaranteed, any := true, false
	for _, r := range all {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, limit := r.Requests[name], r.Limits[name]
			any = any || !request.IsZero() || !limit.IsZero()
			guaranteed = guaranteed && !limit.IsZero() && request.Cmp(limit) == 0
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

// oomScoreAdj is the kubelet's GetContainerOOMScoreAdjust
// (k8s.io/kubernetes/pkg/kubelet/qos/policy.go): the more of the host's memory a
// container has asked for, the later it is killed.
func (c *compiler) oomScoreAdj(k *corev1.Container) int {
	switch c.resources.qos {
	case corev1.PodQOSGuaranteed:
		return -997
	case corev1.PodQOSBestEffort:
		return 1000
	}
	s := &c.pod.Spec
	adj := c.burstable(k)
	if isInit := slices.ContainsFunc(s.InitContainers, func(i corev1.Container) bool { return i.Name == k.Name }); isInit && sidecar(k) {
		// Not before those that it is there for.
		for i := range s.Containers {
			adj = min(adj, c.burstable(&s.Containers[i]))
		}
	}
	return adj
}

func (c *compiler) burstable(k *corev1.Container) int {
	s := &c.pod.Spec
	request := k.Resources.Requests.Memory().Value()
	if s.Resources != nil {
		if pod, ok := s.Resources.Requests[corev1.ResourceMemory]; ok {
			// What the pod has asked for beyond its containers is all of theirs (KEP-2837).
			sum := podAmounts(s, func(k *corev1.Container) corev1.ResourceList { return k.Resources.Requests })[corev1.ResourceMemory]
			n := int64(len(s.Containers))
			for i := range s.InitContainers {
				if sidecar(&s.InitContainers[i]) {
					n++
				}
			}
			request += max(0, pod.Value()-sum) / n
		}
	}
	if c.host.Memory <= 0 {
		return 999
	}
	adj := 1000 - int(math.Min(1000, float64(request)*1000/float64(c.host.Memory)))
	return min(max(adj, 3), 999)
}

// resourceFieldRef is a container's request or limit in units of divisor, rounded
// up; a limit that it does not have is what the host has.
func (c *compiler) resourceFieldRef(at string, k *corev1.Container, r *corev1.ResourceFieldSelector) (string, bool) {
	if r.ContainerName != "" {
		k = nil
		eachContainer(&c.pod.Spec, func(_ string, other *corev1.Container, init bool) {
			if other.Name == r.ContainerName {
				k = other
			}
		})
		if k == nil {
			c.addf(at+".containerName", "%s: the pod has no such container", quote(r.ContainerName))
			return "", false
		}
	} else if k == nil {
		c.addf(at+".containerName", "required in a volume")
		return "", false
	}
	list, name, _ := strings.Cut(r.Resource, ".")
	var from corev1.ResourceList
	switch list {
	case "limits":
		from = k.Resources.Limits
	case "requests":
		from = k.Resources.Requests
	}
	of := corev1.ResourceName(name)
	huge := strings.HasPrefix(name, corev1.ResourceHugePagesPrefix)
	if list != "limits" && list != "requests" || of != corev1.ResourceCPU && of != corev1.ResourceMemory && !huge {
		c.addf(at+".resource", "%s: must be limits or requests, and cpu, memory or hugepages-SIZE: limits.cpu", quote(r.Resource))
		return "", false
	}
	q, ok := from[of]
	if !ok && list == "limits" {
		switch of {
		case corev1.ResourceCPU:
			q = *resource.NewQuantity(int64(c.host.CPUs), resource.DecimalSI)
		case corev1.ResourceMemory:
			q = *resource.NewQuantity(c.host.Memory, resource.BinarySI)
		}
	}
	divisor := r.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if !c.bounded(at+".divisor", &divisor, maxAmount(of)) {
		return "", false
	}
	n, d := q.Value(), divisor.Value()
	if of == corev1.ResourceCPU {
		n, d = q.MilliValue(), divisor.MilliValue()
	}
	return strconv.FormatInt((n+d-1)/d, 10), true
}
