package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	oci "github.com/opencontainers/cgroups"
	"github.com/opencontainers/cgroups/fs2"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Apply sets the limits r on p. A field that is absent, or zero where zero
// means absent, stays as it is; so Apply serves a first setting as well as an
// update. Values and controllers are checked before anything is written; what
// the kernel itself refuses halfway leaves the earlier ones set.
//
// Units are those of the OCI configuration: bytes, microseconds, v1 shares.
// Shares become a weight by the formula of opencontainers/cgroups, as for a
// container. unified is written last, so it wins over a field that means the
// same file. Device rules are not applied: a pod has no devices, its containers
// have.
func (p Path) Apply(r *specs.LinuxResources) error {
	if err := Validate(r); err != nil {
		return err
	}
	if r == nil {
		return nil
	}
	d, err := p.open()
	if err != nil {
		return fmt.Errorf("apply resources: %w", err)
	}
	defer d.close()
	errs, err := d.missing(r)
	if err != nil {
		return fmt.Errorf("apply resources: %w", err)
	}
	if len(errs) > 0 {
		// The cgroup above that is to blame says more than the lack of it.
		if why := blocked(p, needs(r)); len(why) > 0 {
			errs = why
		}
		return fmt.Errorf("apply resources to cgroup %q: %w", string(p), errors.Join(errs...))
	}
	if err := d.apply(r); err != nil {
		return fmt.Errorf("apply resources to cgroup %q: %w", string(p), err)
	}
	return nil
}

// apply writes r, which is valid, to d.
func (d *dir) apply(r *specs.LinuxResources) error {
	set := convert(r)
	if err := d.completeCPUMax(set); err != nil {
		return err
	}
	m, err := fs2.NewManager(&oci.Cgroup{Resources: set}, d.path)
	if err != nil {
		return err
	}
	if err := m.Set(set); err != nil {
		return explainIO(set, err)
	}
	if err := d.deviceWeights(set); err != nil {
		return err
	}
	// Written here rather than by fs2, which takes them in random order.
	for _, file := range sortedKeys(r.Unified) {
		for line := range strings.SplitSeq(strings.TrimSuffix(r.Unified[file], "\n"), "\n") {
			if err := d.write(file, line); err != nil {
				return fmt.Errorf("resources.unified[%q]: %w", file, err)
			}
		}
	}
	return nil
}

// convert makes OCI resources what opencontainers/cgroups takes, but for
// devices and unified.
func convert(r *specs.LinuxResources) *oci.Resources {
	set := &oci.Resources{SkipDevices: true}
	if m := r.Memory; m != nil {
		set.Memory = value(m.Limit)
		set.MemoryReservation = value(m.Reservation)
		set.MemorySwap = value(m.Swap)
		set.MemoryCheckBeforeUpdate = value(m.CheckBeforeUpdate)
	}
	if c := r.CPU; c != nil {
		set.CpuShares = value(c.Shares)
		set.CpuWeight = oci.ConvertCPUSharesToCgroupV2Value(set.CpuShares)
		set.CpuQuota = value(c.Quota)
		set.CpuPeriod = value(c.Period)
		set.CpuBurst = c.Burst
		set.CPUIdle = c.Idle
		set.CpusetCpus = c.Cpus
		set.CpusetMems = c.Mems
	}
	if r.Pids != nil {
		set.PidsLimit = r.Pids.Limit
	}
	if b := r.BlockIO; b != nil {
		set.BlkioWeight = value(b.Weight)
		for _, w := range b.WeightDevice {
			set.BlkioWeightDevice = append(set.BlkioWeightDevice, oci.NewWeightDevice(w.Major, w.Minor, value(w.Weight), 0))
		}
		set.BlkioThrottleReadBpsDevice = convertThrottle(b.ThrottleReadBpsDevice)
		set.BlkioThrottleWriteBpsDevice = convertThrottle(b.ThrottleWriteBpsDevice)
		set.BlkioThrottleReadIOPSDevice = convertThrottle(b.ThrottleReadIOPSDevice)
		set.BlkioThrottleWriteIOPSDevice = convertThrottle(b.ThrottleWriteIOPSDevice)
	}
	for _, l := range r.HugepageLimits {
		set.HugetlbLimit = append(set.HugetlbLimit, &oci.HugepageLimit{Pagesize: l.Pagesize, Limit: l.Limit})
	}
	if len(r.Rdma) > 0 {
		set.Rdma = make(map[string]oci.LinuxRdma, len(r.Rdma))
		for device, l := range r.Rdma {
			set.Rdma[device] = oci.LinuxRdma{HcaHandles: l.HcaHandles, HcaObjects: l.HcaObjects}
		}
	}
	return set
}

func convertThrottle(devices []specs.LinuxThrottleDevice) []*oci.ThrottleDevice {
	var set []*oci.ThrottleDevice
	for _, d := range devices {
		set = append(set, oci.NewThrottleDevice(d.Major, d.Minor, d.Rate))
	}
	return set
}

// completeCPUMax fills in, from the cgroup, the half of cpu.max ("QUOTA
// PERIOD") that is not to be changed. fs2 would write the kernel's default for
// it, which for the quota is none at all.
func (d *dir) completeCPUMax(set *oci.Resources) error {
	if (set.CpuQuota == 0) == (set.CpuPeriod == 0) {
		return nil
	}
	line, err := d.readLine("cpu.max")
	if err != nil {
		return asGone(err)
	}
	quota, period, err := parseCPUMax(line)
	if err != nil {
		return err
	}
	if set.CpuQuota == 0 {
		set.CpuQuota = quota
	} else {
		set.CpuPeriod = period
	}
	return nil
}

// parseCPUMax parses a cpu.max, in µs; a quota of -1 is none.
func parseCPUMax(line string) (quota int64, period uint64, err error) {
	q, p, _ := strings.Cut(line, " ")
	period, err = strconv.ParseUint(p, 10, 64)
	if q == "max" {
		quota = -1
	} else if err == nil {
		quota, err = strconv.ParseInt(q, 10, 64)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("parse cpu.max %q: %w", line, err)
	}
	return quota, period, nil
}

// explainIO says which weights a kernel lacks when a file of theirs is missing.
func explainIO(set *oci.Resources, err error) error {
	var pe *fs.PathError
	if set.BlkioWeight != 0 && errors.Is(err, fs.ErrNotExist) && errors.As(err, &pe) && strings.HasSuffix(pe.Path, "/io.weight") {
		return unsupportedf("resources.blockIO.weight needs io.bfq.weight (the BFQ scheduler) or io.weight (io.cost), which this kernel does not offer")
	}
	return err
}

// deviceWeights sets the weights per device where the BFQ scheduler is not
// there to take them: fs2 drops them then without a word. Converted as fs2
// converts the weight for all devices.
func (d *dir) deviceWeights(set *oci.Resources) error {
	if len(set.BlkioWeightDevice) == 0 {
		return nil
	}
	if _, err := d.read("io.bfq.weight"); err == nil {
		return nil
	}
	for _, w := range set.BlkioWeightDevice {
		line := fmt.Sprintf("%d:%d %d", w.Major, w.Minor, oci.ConvertBlkIOToIOWeightValue(w.Weight))
		err := d.write("io.weight", line)
		if errors.Is(err, fs.ErrNotExist) {
			return unsupportedf("resources.blockIO.weightDevice needs io.bfq.weight (the BFQ scheduler) or io.weight (io.cost), which this kernel does not offer")
		}
		if err != nil {
			return fmt.Errorf("resources.blockIO.weightDevice: %w", err)
		}
	}
	return nil
}
