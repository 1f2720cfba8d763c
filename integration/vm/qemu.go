package vm

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/podrt/podrt/integration/vm/job"
)

// kernelCommandLine: boot quietly and fast, end QEMU on a panic, and no links
// or cgroup v1 trees that nobody asked for.
var kernelCommandLine = []string{
	"console=ttyS0", "quiet", "loglevel=5",
	"panic=-1", "reboot=t",
	"cryptomgr.notests", "mitigations=off",
	"cgroup_no_v1=all",
	// Loading the module makes none of these in the first namespace.
	"dummy.numdummies=0", "ifb.numifbs=0", "bonding.max_bonds=0",
}

// cpu is a plain one: the state that AVX and protection keys add to each switch
// of a task, and SMAP's instructions around each copy, cost an emulation a sixth
// of its time. The features added are cheaper than what the kernel does instead.
const cpu = "qemu64,+x2apic,+rdrand,+fsgsbase,+pdpe1gb"

// machine is what QEMU is told about one run.
type machine struct {
	parts     *Parts
	memoryMiB int
	cpus      int
	initramfs string
	append    string // more for the kernel's command line
	console   string // file for what the kernel says
	jobDir    string
	shares    []job.Share
	disk      string // raw image; "" is none
	stdoutFd  int    // of QEMU, for the command's output
	stderrFd  int
	terminal  bool // stdin and stdout of QEMU are the command's terminal
}

// args returns QEMU's arguments.
func (m *machine) args() []string {
	share := filepath.Join(m.parts.dir, "qemu/usr/share")
	args := []string{
		"-L", share + "/qemu", "-L", share + "/seabios",
		"-M", "pc", "-accel", "tcg", "-cpu", cpu,
		"-m", strconv.Itoa(m.memoryMiB), "-smp", strconv.Itoa(m.cpus),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", m.parts.vmlinux(), "-initrd", m.initramfs,
		"-append", strings.TrimSpace(strings.Join(kernelCommandLine, " ") + " " + m.append),
		"-serial", "file:" + m.console,
		"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=2", job.ExitPort),
		"-device", "virtio-serial-pci",
	}
	args = append(args, folder(job.RootTag, "/", true)...)
	args = append(args, folder(job.JobTag, m.jobDir, false)...)
	for _, s := range m.shares {
		args = append(args, folder(s.Tag, s.Path, false)...)
	}
	if m.terminal {
		args = append(args, "-chardev", "stdio,id=tty,signal=off", "-device", "virtconsole,chardev=tty")
	} else {
		args = append(args, port(job.StdoutPort, m.stdoutFd)...)
		args = append(args, port(job.StderrPort, m.stderrFd)...)
	}
	if m.disk != "" {
		args = append(args,
			"-drive", "if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file="+m.disk,
			"-device", "virtio-blk-pci,drive=disk")
	}
	return args
}

// folder is a directory of the host under a mount tag.
func folder(tag, path string, readOnly bool) []string {
	// QEMU takes two commas for one in a value.
	fs := "local,security_model=none,multidevs=remap,id=" + tag + ",path=" + strings.ReplaceAll(path, ",", ",,")
	if readOnly {
		fs += ",readonly=on"
	}
	return []string{"-fsdev", fs, "-device", "virtio-9p-pci,fsdev=" + tag + ",mount_tag=" + tag}
}

// port is a way out of the VM into a descriptor of QEMU.
func port(name string, fd int) []string {
	return []string{
		"-chardev", fmt.Sprintf("file,id=%s,path=/proc/self/fd/%d", name, fd),
		"-device", fmt.Sprintf("virtserialport,chardev=%s,name=%s", name, name),
	}
}
