package netsetup

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Unlock lets packets pass again in the network namespace of the path, where
// CRIU (criu(8), --network-lock) has shut the network for the checkpoint of one
// container. CRIU opens it when that container is restored, and not wholly where
// the namespace has lasted: there it has locked twice. The lock is a chain "CRIU"
// in iptables' filter tables, to which INPUT and OUTPUT jump; without it, or
// without the programs that CRIU makes it with, Unlock does nothing.
func Unlock(path string) error {
	ns, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	defer ns.Close()
	done := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine. What it forks is in
		// its namespace.
		runtime.LockOSThread()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("join network namespace %q: %w", path, err)
			return
		}
		var err error
		for _, program := range []string{"iptables-restore", "ip6tables-restore"} {
			if err == nil {
				err = removeLock(program)
			}
		}
		done <- err
	}()
	return <-done
}

// locksMax is more than CRIU ever makes.
const locksMax = 16

func removeLock(program string) error {
	if _, err := exec.LookPath(program); err != nil {
		return nil
	}
	// Each deletes one of several rules, and fails where there is none.
	for range locksMax {
		if change(program, "-D INPUT -j CRIU") != nil {
			break
		}
	}
	for range locksMax {
		if change(program, "-D OUTPUT -j CRIU") != nil {
			break
		}
	}
	err := change(program, "-F CRIU", "-X CRIU")
	// Fails without the chain; empty, it lets packets pass.
	if err != nil && change(program, "-F CRIU") == nil {
		return fmt.Errorf("remove CRIU's network lock: %w", err)
	}
	return nil
}

// change applies rules to the filter table, all of them or none (iptables-restore(8)).
func change(program string, rules ...string) error {
	cmd := exec.Command(program, "--wait", "--noflush")
	cmd.Stdin = strings.NewReader("*filter\n" + strings.Join(rules, "\n") + "\nCOMMIT\n")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", program, rules, err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
