package cgroups

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	oci "github.com/opencontainers/cgroups"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Check tells whether limits r can be set on this host, before anything is
// made: that the values are good ([Validate]), that the unified hierarchy is
// there and writable, that it offers every controller that r needs, the huge
// page sizes, CPUs and memory nodes that r names. All that is missing is
// reported, with the field that needs it.
func Check(r *specs.LinuxResources) error {
	root, err := Root()
	if err != nil {
		return err
	}
	return check(root, r)
}

// Check tells whether limits r could be set on p, which need not exist: what
// the function [Check] tells, and that each cgroup above p that exists can pass
// on the controllers.
func (p Path) Check(r *specs.LinuxResources) error {
	root, err := Root()
	if err != nil {
		return err
	}
	if err := p.valid(); err != nil {
		return err
	}
	if err := check(root, r); err != nil {
		return err
	}
	errs := blocked(p, needs(r))
	// The root may offer CPUs that the parent does not have.
	if above := p.ancestors(); r != nil && len(above) > 1 {
		d, err := openDir(string(above[len(above)-1]))
		if err != nil {
			return err
		}
		defer d.close()
		errs = append(errs, d.offersCPUs(r.CPU)...)
	}
	return errors.Join(errs...)
}

func check(root Path, r *specs.LinuxResources) error {
	if err := Validate(r); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := ignoringEINTR(func() error { return unix.Statfs(string(root), &st) }); err != nil {
		return fmt.Errorf("statfs %s: %w", root, err)
	}
	if st.Flags&unix.ST_RDONLY != 0 {
		return unsupportedf("%s is mounted read-only: no cgroup can be made", root)
	}
	if r == nil {
		return nil
	}
	d, err := openDir(string(root))
	if err != nil {
		return err
	}
	defer d.close()
	errs, err := d.missing(r)
	if err != nil {
		return err
	}
	for i, l := range r.HugepageLimits {
		if sizes := oci.HugePageSizes(); !slices.Contains(sizes, l.Pagesize) {
			errs = append(errs, unsupportedf("resources.hugepageLimits[%d].pageSize: this host has no huge pages of %q, but %q", i, l.Pagesize, sizes))
		}
	}
	return errors.Join(append(errs, d.offersCPUs(r.CPU)...)...)
}

// need is a controller, and the field of the OCI resources that needs it.
type need struct{ controller, field string }

// needs lists what r needs, in the order of the fields.
func needs(r *specs.LinuxResources) []need {
	if r == nil {
		return nil
	}
	var n []need
	add := func(set bool, controller, field string) {
		if set {
			n = append(n, need{controller, "resources." + field})
		}
	}
	if m := r.Memory; m != nil {
		add(value(m.Limit) != 0, "memory", "memory.limit")
		add(value(m.Reservation) != 0, "memory", "memory.reservation")
		add(value(m.Swap) != 0, "memory", "memory.swap")
	}
	if c := r.CPU; c != nil {
		add(value(c.Shares) != 0, "cpu", "cpu.shares")
		add(value(c.Quota) != 0, "cpu", "cpu.quota")
		add(value(c.Period) != 0, "cpu", "cpu.period")
		add(c.Burst != nil, "cpu", "cpu.burst")
		add(c.Idle != nil, "cpu", "cpu.idle")
		add(c.Cpus != "", "cpuset", "cpu.cpus")
		add(c.Mems != "", "cpuset", "cpu.mems")
	}
	add(r.Pids != nil && r.Pids.Limit != nil, "pids", "pids.limit")
	if b := r.BlockIO; b != nil {
		add(value(b.Weight) != 0, "io", "blockIO.weight")
		add(len(b.WeightDevice) > 0, "io", "blockIO.weightDevice")
		for _, f := range throttles(b) {
			add(len(f.devices) > 0, "io", "blockIO."+f.name)
		}
	}
	add(len(r.HugepageLimits) > 0, "hugetlb", "hugepageLimits")
	add(len(r.Rdma) > 0, "rdma", "rdma")
	for _, key := range sortedKeys(r.Unified) {
		controller, _, _ := strings.Cut(key, ".")
		add(controller != "cgroup", controller, fmt.Sprintf("unified[%q]", key))
	}
	return n
}

// missing reports the controllers that r needs and d has not.
func (d *dir) missing(r *specs.LinuxResources) (errs []error, err error) {
	wanted := needs(r)
	if len(wanted) == 0 {
		return nil, nil
	}
	line, err := d.readLine("cgroup.controllers")
	if err != nil {
		return nil, asGone(err)
	}
	return lacking(wanted, strings.Fields(line), d.path+" does not offer"), nil
}

// lacking returns an error for each controller that is wanted and not had, which
// ends in why.
func lacking(wanted []need, has []string, why string) []error {
	var errs []error
	for i, n := range wanted {
		isN := func(o need) bool { return o.controller == n.controller }
		if slices.Contains(has, n.controller) || slices.ContainsFunc(wanted[:i], isN) {
			continue
		}
		var fields []string
		for _, o := range wanted {
			if isN(o) {
				fields = append(fields, o.field)
			}
		}
		verb := " needs"
		if len(fields) > 1 {
			verb = " need"
		}
		errs = append(errs, unsupportedf("%s%s the %q controller, which %s", strings.Join(fields, ", "), verb, n.controller, why))
	}
	return errs
}

// blocked reports the wanted controllers that a cgroup above p does not pass
// on, and cannot be made to since it has processes of its own.
func blocked(p Path, wanted []need) []error {
	if len(wanted) == 0 {
		return nil
	}
	for _, a := range p.ancestors() {
		d, err := openDir(string(a))
		if err != nil {
			continue
		}
		errs := d.blocks(wanted)
		d.close()
		if len(errs) > 0 {
			return errs
		}
	}
	return nil
}

// blocks reports the wanted controllers that d cannot pass on.
func (d *dir) blocks(wanted []need) []error {
	typ, err := d.readLine("cgroup.type")
	if err != nil {
		return nil // the root, which always can; or gone
	}
	line, err := d.readLine("cgroup.subtree_control")
	if err != nil {
		return nil
	}
	passed := strings.Fields(line)
	if typ != "domain" {
		return lacking(wanted, passed, fmt.Sprintf("cgroup %q cannot pass on: it is of type %q", d.path, typ))
	}
	pids, err := d.ownProcs()
	if err != nil || len(pids) == 0 {
		return nil
	}
	return lacking(wanted, passed, fmt.Sprintf("cgroup %q cannot pass on: it has processes of its own: %s", d.path, nameProcs(pids)))
}

// offersCPUs verifies that d has the CPUs and memory nodes that c names.
func (d *dir) offersCPUs(c *specs.LinuxCPU) []error {
	if c == nil {
		return nil
	}
	return []error{
		d.offers("cpu.cpus", c.Cpus, "cpuset.cpus.effective", "CPU"),
		d.offers("cpu.mems", c.Mems, "cpuset.mems.effective", "memory node"),
	}
}

// offers verifies that the file effective of d, a list of CPUs or memory nodes,
// has all that the list s of the field names. Without that the kernel takes the
// limit, and where nothing of it can be had uses whatever the parent has.
func (d *dir) offers(field, s, effective, what string) error {
	if s == "" {
		return nil
	}
	line, err := d.readLine(effective)
	if err != nil || line == "" {
		return nil // no controller: reported as that
	}
	want, err := parseList(s)
	if err != nil {
		return fmt.Errorf("resources.%s: %q: %w", field, s, err)
	}
	have, err := parseList(line)
	if err != nil {
		return fmt.Errorf("parse %s: %w", effective, err)
	}
	if n, missing := missingFrom(want, have); missing {
		return unsupportedf("resources.%s: %q: there is no %s %d, but %s", field, s, what, n, line)
	}
	return nil
}
