package main

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/pid1"
	"github.com/podrt/podrt/integration/vm/job"
)

// units are all that systemd knows of: the host's own are of no use to a test,
// and take a minute to boot.
//
//go:embed units
var units embed.FS

const (
	systemdPath = "/lib/systemd/systemd"
	// programCopy is this program, which the unit rung-job.service runs.
	programCopy = "/run/rung-guest"
)

// systemdDirs are hidden with empty directories. The host's units for users
// stay, below those in /etc.
var systemdDirs = []string{
	"/lib/systemd/system", "/lib/systemd/system-generators", "/lib/systemd/user-generators",
	"/etc/systemd/system", "/etc/systemd/user",
}

// etcFiles are what systemd and the commands for users want.
var etcFiles = []struct {
	path, text string
	add        bool // before what the host has
}{
	{"/etc/machine-id", "706f6472742072756e67206f6e20766d\n", false},
	{"/etc/hostname", hostname + "\n", false},
	{"/etc/fstab", "", false},
	{"/etc/passwd", job.UserName + ":x:1000:1000::" + job.UserHome + ":/bin/sh\n", true},
	{"/etc/shadow", job.UserName + ":*:20000:0:99999:7:::\n", true},
	{"/etc/group", job.UserName + ":x:1000:\n", true},
	{"/etc/subuid", job.UserName + ":100000:65536\n", true},
	{"/etc/subgid", job.UserName + ":100000:65536\n", true},
}

// becomeSystemd makes systemd PID 1 in this process's place. It has
// rung-job.service run the command of the job.
func becomeSystemd() error {
	if _, err := os.Stat(systemdPath); err != nil {
		return fmt.Errorf("%w; make deps installs it", err)
	}
	for _, dir := range systemdDirs {
		err := pid1.MountAll([]pid1.Mount{{FSType: "tmpfs", Target: dir, Flags: noDev, Data: "mode=755"}})
		if err != nil {
			return err
		}
	}
	if err := errors.Join(writeUnits("units/system", "/etc/systemd/system"), writeUnits("units/user", "/etc/systemd/user")); err != nil {
		return err
	}
	for _, f := range etcFiles {
		if err := writeEtc(f.path, f.text, f.add); err != nil {
			return err
		}
	}
	err := pid1.MountAll([]pid1.Mount{{FSType: "tmpfs", Target: job.UserHome, Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=700,uid=1000,gid=1000"}})
	if err != nil {
		return err
	}
	if err := copyFile("/proc/self/exe", programCopy); err != nil {
		return err
	}
	argv := []string{systemdPath, "--log-target=console", "--log-level=notice", "--show-status=false", "--crash-reboot=true"}
	return os.NewSyscallError("execve "+systemdPath, unix.Exec(systemdPath, argv, []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"}))
}

func writeUnits(from, to string) error {
	entries, err := fs.ReadDir(units, from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := units.ReadFile(from + "/" + e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeEtc writes text to path, before what the host has there if add is set:
// the first user with an id is the one it stands for.
func writeEtc(path, text string, add bool) error {
	if add {
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		text += string(b)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// copyFile makes a program to of the file from.
func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}
