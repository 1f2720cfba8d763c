// Package job is what the host (package vm) tells the VM's PID 1 (command
// guest) to do, and where it finds it.
package job

// Job is the file [File] in the folder that the guest sees at [Dir].
type Job struct {
	Args    []string // Args[0] is a path on the host
	Env     []string // of the command, whole
	WorkDir string   // of the command, a path on the host

	// Keep lists files and directories of the host that stay visible,
	// read-only, where the guest's own file systems would hide them (below
	// /tmp, /run…).
	Keep []string
	// Shares are directories of the host that the command may write to.
	Shares []Share
	// Modules is the host's path of the directory that belongs at
	// /lib/modules/RELEASE in the guest.
	Modules string
	// Disk says that /dev/vda holds an empty ext4.
	Disk bool
	// Systemd makes systemd PID 1, with the command as a service.
	Systemd bool
	// Terminal gives the command the console as its terminal.
	Terminal bool
}

// Share is a writable directory of the host, the same path in the guest.
type Share struct {
	Tag  string // of the 9p device
	Path string
}

// The ordinary user of a VM with systemd, uid and gid 1000, with 65536
// subordinate ids from 100000 on.
const (
	UserName = "tester"
	UserHome = "/home/tester"
)

const (
	// Dir is the guest's mount of the run's folder on the host, which holds:
	Dir      = "/run/podrt-vm"
	File     = "job.json"
	ExitFile = "exit" // the exit code, in decimal, written last

	// Names of the 9p devices.
	RootTag = "root" // the host's /, read-only
	JobTag  = "job"  // Dir

	// Names of the virtio-serial ports: /sys/class/virtio-ports/*/name.
	StdoutPort = "stdout"
	StderrPort = "stderr"

	// ExitPort is the I/O port of QEMU's isa-debug-exit: a byte c written
	// there ends QEMU with code c*2+1.
	ExitPort = 0x501
	// ExitDone and ExitBroken are the bytes that say how PID 1 ended.
	ExitDone   = 0
	ExitBroken = 1

	// ModuleList is the initramfs's file with the modules to load, a path on
	// each line, in order.
	ModuleList = "/modules.list"
)
