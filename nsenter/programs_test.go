package nsenter

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Programs that run as processes of a pod, in its PID namespace. What they
// print is read by init_test.go and init_attack_test.go.

// signalsHelper prints the name of each signal it gets, until it is killed.
func signalsHelper() {
	signals := make(chan os.Signal, 100)
	signal.Notify(signals)
	fmt.Println("ready")
	for s := range signals {
		if s == unix.SIGURG { // Go's own
			continue
		}
		fmt.Println(unix.SignalName(s.(syscall.Signal)))
	}
}

// attackSignalsHelper sends all signals to PID 1 in all ways.
func attackSignalsHelper() error {
	for sig := syscall.Signal(1); sig <= 64; sig++ {
		if err := unix.Kill(1, sig); err != nil {
			return fmt.Errorf("kill(1, %d): %w", sig, err)
		}
		_ = unix.Tgkill(1, 1, sig)
		// With the mark of one from outside: from pid 0, and not by kill(2). The
		// kernel refuses what it says itself, as SI_USER.
		for _, code := range []int32{0, -1, -6} {
			var info [128]byte
			*(*int32)(unsafe.Pointer(&info[0])) = int32(sig)
			*(*int32)(unsafe.Pointer(&info[8])) = code
			_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, 1, uintptr(sig), uintptr(unsafe.Pointer(&info)))
			if code != -1 && errno == 0 {
				return fmt.Errorf("rt_sigqueueinfo with code %d is allowed", code)
			}
		}
	}
	fmt.Println("done")
	return nil
}

// mountProc gives this process a /proc of its PID namespace; it was started in
// a mount namespace of its own.
func mountProc() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	return unix.Mount("proc", "/proc", "proc", 0, "")
}

// attackHelper prints a line for each thing that works and should not, as root
// of the initial user namespace: first with all but CAP_SYS_PTRACE, then
// without those that Linux 6.15 takes for it when it comes to reading.
func attackHelper() error {
	if err := mountProc(); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := dropCapability(unix.CAP_SYS_PTRACE); err != nil {
		return err
	}
	comm, err := os.ReadFile("/proc/1/comm")
	if err != nil {
		return err
	}
	if string(comm) != "podrt-init\n" {
		return fmt.Errorf("PID 1 is %q", comm)
	}
	denied := func(what string, err error) {
		if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) {
			fmt.Printf("%s = %v; want EPERM or EACCES\n", what, err)
		}
	}
	for _, link := range []string{"exe", "root", "cwd", "ns/mnt", "ns/net", "fd/0"} {
		_, err := os.Readlink("/proc/1/" + link)
		denied("readlink "+link, err)
	}
	for _, path := range []string{"root/etc/passwd", "cwd/..", "ns/mnt", "fd/0"} {
		_, err := os.Stat("/proc/1/" + path)
		denied("stat "+path, err)
	}
	read := func(files ...string) {
		for _, file := range files {
			// Some open, and then have nothing to read.
			f, err := os.Open("/proc/1/" + file)
			if err == nil {
				_, err = f.Read(make([]byte, 16))
				f.Close()
			}
			denied("read "+file, err)
		}
	}
	read("exe", "mem", "syscall", "stack", "io", "personality")
	_, err = os.OpenFile("/proc/1/exe", os.O_WRONLY, 0)
	denied("open exe for writing", err)
	_, err = os.OpenFile("/proc/1/mem", os.O_RDWR, 0)
	denied("open mem for writing", err)
	for _, req := range []uintptr{unix.PTRACE_ATTACH, unix.PTRACE_SEIZE} {
		_, _, errno := unix.Syscall6(unix.SYS_PTRACE, req, 1, 0, 0, 0, 0)
		denied(fmt.Sprintf("ptrace(%#x)", req), errno)
	}
	local, remote := unix.Iovec{}, unix.RemoteIovec{Base: 0x400000, Len: 8}
	buf := make([]byte, 8)
	local.Base = &buf[0]
	local.SetLen(8)
	_, err = unix.ProcessVMReadv(1, []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0)
	denied("process_vm_readv", err)
	pidfd, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return err
	}
	_, err = unix.PidfdGetfd(pidfd, 0, 0)
	denied("pidfd_getfd", err)
	denied("setns", unix.Setns(pidfd, unix.CLONE_NEWUTS))

	const capPerfmon = 38
	if err := errors.Join(dropCapability(unix.CAP_SYS_ADMIN), dropCapability(capPerfmon)); err != nil {
		return err
	}
	read("maps", "environ", "auxv", "smaps_rollup", "pagemap")
	_, err = os.ReadDir("/proc/1/map_files")
	denied("list map_files", err)
	return nil
}

// attackExeHelper prints a line for each way to change PID 1's executable that
// works, as root of the initial user namespace with all capabilities.
func attackExeHelper() error {
	if err := mountProc(); err != nil {
		return err
	}
	ro, err := os.Open("/proc/1/exe")
	if err != nil {
		return err
	}
	self := fmt.Sprintf("/proc/self/fd/%d", ro.Fd())
	for _, path := range []string{"/proc/1/exe", self} {
		for _, flags := range []int{os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC} {
			f, err := os.OpenFile(path, flags, 0)
			if err != nil {
				continue
			}
			if _, err := f.WriteAt([]byte("x"), 0); err == nil {
				fmt.Printf("wrote to %s\n", path)
			}
			if err := f.Truncate(0); err == nil {
				fmt.Printf("truncated %s\n", path)
			}
			f.Close()
		}
		if err := os.Truncate(path, 0); err == nil {
			fmt.Printf("truncated %s\n", path)
		}
	}
	// Its root leads nowhere.
	if entries, err := os.ReadDir("/proc/1/root/"); err != nil || len(entries) > 0 {
		fmt.Printf("root holds %v, %v\n", entries, err)
	}
	if entries, err := os.ReadDir("/proc/1/cwd/../.."); err != nil || len(entries) > 0 {
		fmt.Printf("above its directory are %v, %v\n", entries, err)
	}
	return nil
}

// dropCapability takes one from this thread.
func dropCapability(c uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	bit := uint32(1) << (c % 32)
	data[c/32].Effective &^= bit
	data[c/32].Permitted &^= bit
	data[c/32].Inheritable &^= bit
	return unix.Capset(&header, &data[0])
}
