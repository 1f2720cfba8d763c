// Command guest is PID 1 of the VM that package vm boots: it makes the world
// that privileged tests want, runs one command in it, and ends the VM. Where
// the job wants systemd, it becomes systemd, which runs this program once more,
// as a service, for the rest.
//
// It is static and has no dependency but the kernel, since it is alone in the
// initramfs. A C program would be no faster: what takes time is the emulator.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/pid1"
	"github.com/podrt/podrt/integration/vm/job"
)

func main() {
	run := bootAndRun
	switch self, _ := os.Readlink("/proc/self/exe"); {
	case os.Getpid() == 1:
	case self == programCopy:
		run = runJob // below systemd
	default:
		fmt.Fprintln(os.Stderr, "guest: for PID 1 of a podrt test VM only")
		os.Exit(2)
	}
	end := byte(job.ExitDone)
	if err := run(); err != nil {
		// Standard error is the serial console.
		fmt.Fprintln(os.Stderr, "guest:", err)
		end = job.ExitBroken
	}
	powerOff(end)
}

func bootAndRun() error {
	started := uptime()
	j, err := boot()
	if err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	fmt.Fprintf(os.Stderr, "guest: PID 1 at %.2f s\n", started.Seconds())
	if j.Systemd {
		return becomeSystemd()
	}
	return runCommandOf(j)
}

// runJob is what this program does as rung-job.service.
func runJob() error {
	j, err := readJob(job.Dir)
	if err != nil {
		return err
	}
	return runCommandOf(j)
}

// runCommandOf runs the job's command and reports its exit code.
func runCommandOf(j *job.Job) error {
	fmt.Fprintf(os.Stderr, "guest: %s at %.2f s\n", j.Args[0], uptime().Seconds())
	code, err := runCommand(j)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(job.Dir, job.ExitFile), []byte(strconv.Itoa(code)), 0o600)
}

// boot does everything up to the command.
func boot() (*job.Job, error) {
	if err := pid1.MountAll(kernelMounts); err != nil {
		return nil, err
	}
	if err := loadModules(); err != nil {
		return nil, err
	}
	j, err := enterRoot()
	if err != nil {
		return nil, err
	}
	if err := setUp(j); err != nil {
		return nil, err
	}
	return j, nil
}

// readJob reads the job of the folder dir.
func readJob(dir string) (*job.Job, error) {
	b, err := os.ReadFile(filepath.Join(dir, job.File))
	if err != nil {
		return nil, err
	}
	var j job.Job
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("%s: %w", job.File, err)
	}
	return &j, nil
}

func uptime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts)
	return time.Duration(ts.Nano())
}

// powerOff ends QEMU with the code that end stands for; it does not return.
func powerOff(end byte) {
	unix.Sync()
	// At once, where a reboot would first stop every device.
	if f, err := os.OpenFile("/dev/port", os.O_WRONLY, 0); err == nil {
		_, _ = f.WriteAt([]byte{end}, job.ExitPort)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	select {}
}
