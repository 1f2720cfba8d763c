package cgroups

import (
	"errors"
	"testing"
)

func TestDescribeMounts(t *testing.T) {
	const (
		unified = "34 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
		tmpfs   = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
		v1      = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n" +
			"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,xattr,memory\n" +
			"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
		hybrid = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
		other  = "25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\ngarbage\n - \n"
	)
	for _, tc := range []struct{ table, want string }{
		{"", "/sys/fs/cgroup is not a mount"},
		{other, "/sys/fs/cgroup is not a mount"},
		{other + tmpfs, "/sys/fs/cgroup is a mount of tmpfs"},
		{other + tmpfs + v1, "/sys/fs/cgroup is a mount of tmpfs, cgroup v1 is in use for cpu, cpuacct, memory"},
		{tmpfs + v1 + hybrid, "/sys/fs/cgroup is a mount of tmpfs, cgroup v1 is in use for cpu, cpuacct, memory, cgroup2 is on /sys/fs/cgroup/unified"},
		{unified + tmpfs, "/sys/fs/cgroup is a mount of tmpfs"},
	} {
		if got := describeMounts(tc.table); got != tc.want {
			t.Errorf("describeMounts(%q) = %q; want %q", tc.table, got, tc.want)
		}
	}
}

func TestUnsupportedIsErrUnsupported(t *testing.T) {
	err := unsupportedf("no %s", "luck")
	if !errors.Is(err, errors.ErrUnsupported) || err.Error() != "no luck" {
		t.Errorf("unsupportedf = %q, is ErrUnsupported: %v", err, errors.Is(err, errors.ErrUnsupported))
	}
}
