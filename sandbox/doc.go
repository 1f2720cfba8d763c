// Package sandbox is podrt's model: Store, Pod and Container.
//
// # What a pod is
//
// A pod is a set of kernel objects with one name and one UID: namespaces, each
// pinned by a bind mount so that they outlive every process; one cgroup-v2
// parent with a leaf per container; shared storage that lives as long as the
// pod; and options for how its containers run. The package orders the four
// leaves that make these (nsenter, cgroups, netsetup, rootfs), launches
// containers through libcontainer, writes state and rolls back. It is the only
// importer of libcontainer.
//
// # On disk
//
//	RUN  = /run/podrt (a mount of its own with private propagation)
//	RUN/pods/UID/lock                 flock: shared to add a container, exclusive to create, start, remove
//	RUN/pods/UID/monitor              lock held by the process that is the parent of the pod's containers
//	RUN/pods/UID/pod.json             record: facts and owned resources
//	RUN/pods/UID/ns/KIND              namespace pins
//	RUN/pods/UID/shm                  the pod's /dev/shm
//	RUN/pods/UID/volumes/             memory-backed and bound volumes
//	RUN/pods/UID/containers/NAME/     container.json, exit.json; probes.json: what the monitor has asked of the
//	                                  init that it names; prestop: flock, and the init whose preStop was begun
//	RUN/pods/UID/stopped              there from a stop to the next start: no container is started again;
//	                                  flock: shared while a stop goes on, exclusive to remove it
//	RUN/pods/UID/joiners/UID          of a pod that has joined this one's network
//	RUN/names/NAME -> UID             the name index; RUN/names/.lock guards it
//	RUN/bundles/UID/                  bundle that was made for this one pod, which takes it along (OwnBundle)
//	RUN/containers/ID/                libcontainer's root, for pods' and plain containers alike
//	RUN/networks/                     who has which address and port (netsetup.Networks)
//	LIB  = /var/lib/podrt: networks/  definitions of networks; cni/ what CNI plugins have made
//	LIB/pods/UID/                     disk volumes, overlay uppers, and hostname, hosts and
//	                                  resolv.conf, which containers may write to: not in memory
//	LOG  = /var/log/podrt: UID/       output of the containers of detached pods
//
// # What holds
//
// Intent first: a pod's record is on disk before any kernel object is made, and
// every path derives from the UID, so that a SIGKILL at any instant leaves
// something that removal by id cleans completely. Status is derived, never
// stored. Files change by temporary file and rename. Removal is idempotent,
// tries every step and joins the errors; a failed creation is rolled back by
// the same removal.
//
// # Pods behind engines
//
// A container whose annotations say that it is the sandbox of a containerd,
// CRI-O or dockershim pod makes a Pod record under the sandbox's id
// (engine_pod.go): intent first, then the pins of its namespaces, taken from the
// init by pidfd, or of those that the engine gave it by path. A container whose
// annotations name that sandbox has the paths that mean these namespaces
// replaced by the pins (engine_join.go); other paths stay. Where there is no such
// pod, or podrt may not keep one, both are plain containers.
//
// Such a pod owns record and pins only. Containers, network and cgroups are the
// engine's: podrt reads its pod cgroup, where its name says that it is the pod's
// own, and neither writes to it nor removes it; pausing and killing go through
// the containers' own cgroups (engine_act.go). So whatever else the engine has
// in the cgroup above them, other pods or the processes that watch them, is not
// touched. The pod goes with the sandbox container; its other containers live
// on. It is in no name index, since engines have several pods of one name:
// Store.Pod finds it by what its engine calls it, if that is one.
//
// Lock order: names, pod (a joined pod's lock after the joiner's), container. A
// container's directory is only ever locked without waiting (LOCK_NB), or before
// anybody can see it, so that waiting for the pod's lock under it, as complete
// and dropSandbox do, makes no cycle.
package sandbox
