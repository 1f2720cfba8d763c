// Package cgroups handles the cgroup-v2 directory of a pod: it makes it, sets
// the pod's limits in it, freezes, signals, kills and measures the pod as one,
// and removes it.
//
// # Model
//
// A pod is one directory with a leaf below it for each container, and one
// named _init for the pod init where there is one:
//
//	/sys/fs/cgroup                the unified hierarchy (only there: runtimes and
//	                              their libraries know no other place)
//	└── podrt                     the default parent; or the caller's own
//	    └── UID                   the pod: limits, freeze, kill, stats
//	        ├── _init
//	        └── NAME              a container
//
// A [Path] names such a directory. It is a string, not a handle: the kernel
// keeps all state, so that each call works as well from a process that has
// nothing but the pod's id. Every method opens the directory anew and verifies
// that it is on cgroup2 and is not the root of the hierarchy; from there on it
// goes by descriptors, follows no symlink, crosses no mount, and is not
// impressed by names or depths that a container with a writable cgroup of its
// own came up with.
//
// # Order
//
// The kernel lets a cgroup either hold processes or hand controllers to its
// children, never both ("no internal processes", cgroups(7)). Hence the order
// of a pod's life:
//
//	(p Path).Check   nothing is made when a limit cannot be honoured
//	Create           directories; controllers enabled on the ancestors
//	(p Path).Apply   the pod's limits
//	(p Path).Open    a sandbox process that needs it is cloned into the pod's cgroup …
//	(p Path).Enable  … and once it has left, controllers go on to the leaves
//	(p Path).Kill, WaitKilled, Remove, RemoveMade
//
// [Create] tells which directories it made. Those, and only those, are removed
// by [RemoveMade]: a parent that the caller owns stays.
//
// Where systemd is to make the pod's directory, [Unit.Start] stands for Create,
// and [Unit.Stop] for RemoveMade.
//
// # Teardown
//
// Kill, KillEach, WaitKilled, WaitEmpty, Remove and RemoveMade are idempotent:
// what is gone already is no error. The other methods report an error that is
// fs.ErrNotExist.
//
// # Kernels
//
// cgroup v2 with the freezer (5.2) and pidfds (5.3). cgroup.kill (5.14) and
// pidfds of threads (6.9) are used where they exist. An error that means "this
// host cannot do that" is [errors.ErrUnsupported].
package cgroups
