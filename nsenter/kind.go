package nsenter

import "golang.org/x/sys/unix"

// Kind is a kind of namespace (namespaces(7)), named as below /proc/PID/ns. A
// pin file has its kind's name.
type Kind string

// The kinds that a pod can have. A mount namespace is each container's own.
const (
	User   Kind = "user"
	Cgroup Kind = "cgroup"
	IPC    Kind = "ipc"
	UTS    Kind = "uts"
	Net    Kind = "net"
	Time   Kind = "time" // Linux 5.6
	PID    Kind = "pid"
)

// flag is the kind's CLONE_NEW* bit, or 0 when there is no such kind.
func (k Kind) flag() uint32 {
	switch k {
	case User:
		return unix.CLONE_NEWUSER
	case Cgroup:
		return unix.CLONE_NEWCGROUP
	case IPC:
		return unix.CLONE_NEWIPC
	case UTS:
		return unix.CLONE_NEWUTS
	case Net:
		return unix.CLONE_NEWNET
	case Time:
		return unix.CLONE_NEWTIME
	case PID:
		return unix.CLONE_NEWPID
	}
	return 0
}

// kinds is all of them, in the order in which they are made and pinned.
func kinds() [7]Kind { return [...]Kind{User, Cgroup, IPC, UTS, Net, Time, PID} }

func kindOf(flag uint32) (Kind, bool) {
	for _, k := range kinds() {
		if k.flag() == flag {
			return k, true
		}
	}
	return "", false
}
