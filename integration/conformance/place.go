package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// place is a rung as the suite is to find it.
type place struct {
	name string
	rung []string // arguments of the command rung
	// setUp is a shell script that root runs first, and asUser the command that
	// the suite's is an argument of.
	setUp  string
	asUser string
	env    []string
	// tmp is TMPDIR. The suite wants it on a file system that is not memory,
	// where there is a choice.
	tmp string
	// limit is that of a file. A limit per test would be a child process of the
	// test's shell, for which some tests wait as for all their children.
	limit time.Duration
	// onOneCPU has all that runs there, the rung included, on one processor.
	onOneCPU bool
	// files are those worth running there, each with what it wants; nil is all.
	files map[string]string
}

// placeNames are all places, in the order of the tables.
var placeNames = []string{"native", "vm", "systemd", "rootless", "rootless+idmap+cgroup"}

// findPlace returns the place of that name, for a file of the suite.
func findPlace(name, file string) (place, error) {
	switch name {
	case "native":
		return place{
			name: name, rung: []string{"native"}, tmp: nativeTmp, limit: nativeLimit,
			onOneCPU: slices.Contains(bindsMountNamespace, file),
		}, nil
	case "vm":
		return inVM(place{name: name, rung: []string{"vm"}, files: vmFiles}, file), nil
	case "systemd":
		return inVM(place{name: name, rung: []string{"vm", "-systemd"}, env: []string{"RUNC_USE_SYSTEMD=1"}, files: systemdFiles}, file), nil
	}
	if features, ok := strings.CutPrefix(name, "rootless"); ok {
		return rootless(name, strings.FieldsFunc(features, func(c rune) bool { return c == '+' }))
	}
	return place{}, fmt.Errorf("-rung: %q: must be native, vm, systemd, rootless with +idmap and +cgroup as wanted, or all", name)
}

const (
	nativeTmp   = "/run/tmp"
	nativeLimit = 5 * time.Minute
	vmTmp       = "/var/lib/podrt/tmp" // on the scratch disk
	vmLimit     = 20 * time.Minute     // the longest file takes four
)

// bindsMountNamespace are the files with a test that binds a new mount namespace to
// a file, for which the namespace's ID has to be above that of the one where this is
// done, else it is EINVAL (mnt_ns_loop in fs/namespace.c). Since Linux 6.18 each
// processor takes IDs from a range of its own.
var bindsMountNamespace = []string{"mounts_propagation_unsafe"}

func inVM(p place, file string) place {
	p.rung = append(p.rung, "-disk", "1024", "-limit", vmLimit.String())
	if slices.Contains([]string{"cpu_affinity", "scheduler"}, file) {
		p.rung = append(p.rung, "-cpus", "2")
	}
	p.tmp, p.limit = vmTmp, vmLimit
	// Users of some tests look into TMPDIR. No udev makes /dev/loop-control.
	p.setUp = "chmod 755 /var/lib/podrt && modprobe -a loop bfq"
	return p
}

// vmFiles are the files that the native rung cannot do whole, and what they
// want. All else is the same in the VM, but slower.
var vmFiles = map[string]string{
	"cgroup_delegation": "controllers",
	"cgroups":           "controllers",
	"checkpoint":        "criu, dummy links",
	"cpu_affinity":      "controllers, two CPUs",
	"delete":            "controllers",
	"dev":               "controllers",
	"events":            "controllers",
	"exec":              "controllers",
	"mounts_recursive":  "a kernel without the host's file systems",
	"netdev":            "dummy links",
	"rlimits":           "CAP_SYS_RESOURCE",
	"run":               "controllers",
	"scheduler":         "CAP_SYS_NICE, two CPUs",
	"update":            "controllers",
	"userns":            "dummy links",
}

// systemdFiles are the files in which something depends on the cgroup driver.
var systemdFiles = map[string]string{
	"cgroups":      "slices and scopes",
	"checkpoint":   "restores into a scope",
	"cpu_affinity": "scopes",
	"create":       "scopes",
	"delete":       "scopes",
	"dev":          "systemd's device rules",
	"events":       "scopes",
	"exec":         "scopes",
	"kill":         "scopes",
	"pause":        "scopes",
	"pidfd-socket": "scopes",
	"ps":           "scopes",
	"run":          "scopes",
	"update":       "properties of the unit",
}

// The suite's rootless mode is that of a user without privilege; its features
// are what root gives him. tests/rootless.sh of the suite does the same by sudo.
const (
	userName  = "rootless"
	userID    = 54242
	subordIDs = 100000 // the first of 65536; groups from 200000 on
)

func rootless(name string, features []string) (place, error) {
	setUp := []string{
		// The mount namespace is the rung's own.
		fmt.Sprintf("(echo %s:x:%d:%d::/run/home:/bin/sh; cat /etc/passwd) >/run/passwd", userName, userID, userID),
		fmt.Sprintf("(echo %s:x:%d:; cat /etc/group) >/run/group", userName, userID),
		"mount --bind /run/passwd /etc/passwd",
		"mount --bind /run/group /etc/group",
		"mkdir /run/home",
		fmt.Sprintf("chown %d:%d /run/home", userID, userID),
	}
	env := []string{"HOME=/run/home", "ROOTLESS_FEATURES=" + strings.Join(features, "+")}
	add := map[string]func(){
		"idmap": func() {
			const aux = nativeTmp + "/aux"
			setUp = append(setUp,
				fmt.Sprintf("echo %s:%d:65536 >/run/subuid", userName, subordIDs),
				fmt.Sprintf("echo %s:%d:65536 >/run/subgid", userName, 2*subordIDs),
				"mount --bind /run/subuid /etc/subuid",
				"mount --bind /run/subgid /etc/subgid",
				// Of uid 1024 in containers, where 1000 is the first subordinate id.
				"mkdir "+aux,
				fmt.Sprintf("chown %d %s", subordIDs-1000+1024, aux),
			)
			env = append(env,
				fmt.Sprintf("ROOTLESS_UIDMAP_START=%d", subordIDs), "ROOTLESS_UIDMAP_LENGTH=65536",
				fmt.Sprintf("ROOTLESS_GIDMAP_START=%d", 2*subordIDs), "ROOTLESS_GIDMAP_LENGTH=65536",
				"ROOTLESS_AUX_DIR="+aux, "ROOTLESS_AUX_UID=1024")
		},
		"cgroup": func() {
			const dir = "/sys/fs/cgroup/runc-cgroups-integration-test"
			files := dir + "/cgroup.subtree_control " + dir + "/cgroup.procs /sys/fs/cgroup/cgroup.procs"
			setUp = append(setUp,
				"mkdir "+dir,
				fmt.Sprintf("chown 0:%d %s %s", userID, dir, files),
				"chmod g+rwx "+dir,
				"chmod g+rw "+files)
		},
	}
	if !slices.Contains(features, "idmap") {
		// As if they were not installed.
		setUp = append(setUp, "mount --bind /dev/null /usr/bin/newuidmap", "mount --bind /dev/null /usr/bin/newgidmap")
	}
	for _, f := range features {
		if add[f] == nil {
			return place{}, fmt.Errorf("-rung: %q: no feature %q; there are %q", name, f, slices.Sorted(maps.Keys(add)))
		}
		add[f]()
	}
	return place{
		name: name, rung: []string{"native"}, tmp: nativeTmp, limit: nativeLimit,
		setUp:  strings.Join(setUp, " && "),
		asUser: fmt.Sprintf("setpriv --reuid %d --regid %d --init-groups", userID, userID),
		env:    env,
	}, nil
}
