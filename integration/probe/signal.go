package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exit ends this process, also when it serves.
func exit(_ io.Writer, args []string) error {
	code, err := number(args[0])
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// signalSelf sends this process a signal with its default action. PID 1 of a
// namespace is not touched by it: pid_namespaces(7).
func signalSelf(_ io.Writer, args []string) error {
	sig := unix.SignalNum(args[0])
	if sig == 0 {
		return fmt.Errorf("unknown signal %q", args[0])
	}
	// struct kernel_sigaction of <asm/signal.h>; all zero is SIG_DFL. The runtime
	// has handlers of its own. SIGKILL's cannot be set, nor need be.
	var act struct{ handler, flags, restorer, mask uintptr }
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&act)), 0, unsafe.Sizeof(act.mask), 0, 0)
	if err := unix.Kill(os.Getpid(), sig); err != nil {
		return err
	}
	return forever()
}

// trap prints the name of each signal that comes, and exits at SIGTERM.
func trap(out io.Writer, _ []string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	fmt.Fprintln(out, "ready")
	for s := range signals {
		fmt.Fprintln(out, unix.SignalName(s.(unix.Signal)))
		if s == unix.SIGTERM {
			return nil
		}
	}
	return nil
}

// ignoreTerm ends of no signal that can be ignored.
func ignoreTerm(out io.Writer, _ []string) error {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGTERM)
	fmt.Fprintln(out, "ready")
	return forever()
}

// kill sends a process that is in sight a signal: kill PID NAME.
func kill(_ io.Writer, args []string) error {
	pid, err := number(args[0])
	if err != nil {
		return err
	}
	sig := unix.SignalNum(args[1])
	if sig == 0 {
		return fmt.Errorf("unknown signal %q", args[1])
	}
	return unix.Kill(pid, sig)
}
