package cgroups

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	gdbus "github.com/godbus/dbus/v5"
	"github.com/opencontainers/cgroups/systemd"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Unit is the name of a transient service of systemd that is a pod's cgroup:
// "podrt-UID.service".
//
// It has to be a service, of type oneshot, whose command has run and which
// remains active. Below it podrt makes cgroups and enables controllers by
// itself, which takes a unit with Delegate=: a slice cannot have it, and systemd
// would take the controllers away again at its next daemon-reload. A scope can,
// but ends with its last process, and a pod need not have any.
type Unit string

// DefaultSlice is where systemd puts the scopes of containers, too.
const DefaultSlice = "system.slice"

// unitPatience bounds what systemd may take where the context does not.
const unitPatience = 30 * time.Second

// UnitFor returns the unit of the pod with that UID in a slice ("" is
// DefaultSlice), and the cgroup that it will be. An error is
// [errors.ErrUnsupported] where systemd is not the service manager.
func UnitFor(slice, uid string) (Unit, Path, error) {
	root, err := Root()
	if err != nil {
		return "", "", err
	}
	if !systemd.IsRunningSystemd() {
		return "", "", unsupportedf("systemd not running on this host, cannot use systemd cgroups manager")
	}
	if slice == "" {
		slice = DefaultSlice
	}
	dir, err := systemd.ExpandSlice(slice)
	if err != nil {
		return "", "", fmt.Errorf("cgroup parent %q: must be the name of a slice, such as %q, for the systemd cgroup manager", slice, "machine.slice")
	}
	u := Unit("podrt-" + uid + ".service")
	return u, Path(path.Join(string(root), dir, string(u))), nil
}

// Start has systemd make the unit and its cgroup p, which [UnitFor] returned,
// with what r limits that systemd knows of. When systemd stops it, what is in it has
// grace between SIGTERM and SIGKILL. An error that is fs.ErrExist says that there is
// such a unit already.
func (u Unit) Start(ctx context.Context, p Path, description string, grace time.Duration, r *specs.LinuxResources) (retErr error) {
	if err := Validate(r); err != nil {
		return err
	}
	limits, err := unitLimits(r)
	if err != nil {
		return err
	}
	return u.ask(ctx, "start", func(ctx context.Context, c *dbus.Conn) error {
		if err := u.start(ctx, c, append(u.properties(p, description, grace), limits...)); err != nil {
			return err
		}
		// systemd took the cgroup away when the command had ended, and makes it
		// again when one of its properties is set; before it answers the next call.
		if err := c.SetUnitPropertiesContext(ctx, string(u), true, accounting()...); err != nil {
			return err
		}
		got, err := c.GetUnitTypePropertyContext(ctx, string(u), "Service", "ControlGroup")
		if err != nil {
			return err
		}
		if dir, _ := got.Value.Value().(string); path.Join(mountpoint, dir) != string(p) || dir == "" {
			return fmt.Errorf("its cgroup is %q; want %q", dir, strings.TrimPrefix(string(p), mountpoint))
		}
		_, err = os.Lstat(string(p))
		return err
	})
}

// start starts the unit and waits for the end of its command.
func (u Unit) start(ctx context.Context, c *dbus.Conn, properties []dbus.Property) error {
	for try := 0; ; try++ {
		done := make(chan string, 1)
		_, err := c.StartTransientUnitContext(ctx, string(u), "replace", properties, done)
		switch {
		case err == nil:
			return await(ctx, done)
		case !isDBusError(err, "org.freedesktop.systemd1.UnitExists"):
			return err
		case try > 0:
			return fmt.Errorf("%w: %w", fs.ErrExist, err)
		}
		// A failed unit stays until it is told to go.
		_ = c.ResetFailedUnitContext(ctx, string(u))
	}
}

// Limit has systemd set the limits to, where they were from before; of several
// it is not known which of them is in force. Its cgroup has them when this
// returns, but for what systemd has no property for, or rounds: [Path.Apply] is
// to come after.
func (u Unit) Limit(ctx context.Context, to *specs.LinuxResources, from ...*specs.LinuxResources) error {
	props, err := unitChange(to, from...)
	if err != nil {
		return err
	}
	return u.ask(ctx, "set limits of", func(ctx context.Context, c *dbus.Conn) error {
		// All or none: systemd looks at each before it takes the first.
		if err := c.SetUnitPropertiesContext(ctx, string(u), true, props...); err != nil {
			return err
		}
		// As in Start: the files are written before the next answer.
		_, err := c.GetUnitTypePropertyContext(ctx, string(u), "Service", "ControlGroup")
		return err
	})
}

// Stop has systemd end the unit with every process in its cgroup, and take both
// away. One that does not exist is no error.
func (u Unit) Stop(ctx context.Context) error {
	return u.ask(ctx, "stop", func(ctx context.Context, c *dbus.Conn) error {
		done := make(chan string, 1)
		_, err := c.StopUnitContext(ctx, string(u), "replace", done)
		switch {
		case err == nil:
			err = await(ctx, done)
		case isDBusError(err, "org.freedesktop.systemd1.NoSuchUnit"):
			return nil
		}
		_ = c.ResetFailedUnitContext(ctx, string(u))
		return err
	})
}

// Is reports whether the unit is the one that was started with that description,
// or does not exist; another's of that name is not to be stopped.
func (u Unit) Is(ctx context.Context, description string) (is bool, _ error) {
	err := u.ask(ctx, "look at", func(ctx context.Context, c *dbus.Conn) error {
		props, err := c.GetUnitPropertiesContext(ctx, string(u))
		if isDBusError(err, "org.freedesktop.systemd1.NoSuchUnit") || err == nil && props["LoadState"] == "not-found" {
			is = true
			return nil
		}
		is = err == nil && props["Description"] == description
		return err
	})
	return is, err
}

// ask calls systemd.
func (u Unit) ask(ctx context.Context, verb string, call func(context.Context, *dbus.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, unitPatience)
	defer cancel()
	c, err := dbus.NewWithContext(ctx)
	if err == nil {
		defer c.Close()
		err = call(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("%s systemd unit %q: %w", verb, string(u), err)
	}
	return nil
}

// await waits for the end of a job of systemd's.
func await(ctx context.Context, done <-chan string) error {
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("its job ended with %q", result)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isDBusError(err error, name string) bool {
	var e gdbus.Error
	return errors.As(err, &e) && e.Name == name
}
