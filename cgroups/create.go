package cgroups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// createTries bounds how often Create begins again because somebody removed a
// parent between two of its steps.
const createTries = 1000

// Create makes the cgroup p and those above it that are missing, and enables
// every controller on those above, so that p has all that the root has. In p
// itself none is enabled: a process may be put into it.
//
// It returns the directories that this very call made, the topmost first, for
// [RemoveMade]; none where p was there already. On an error it has removed them
// again. Calls for pods of the same parent may run at the same time, and while
// another process removes the parent because it is empty.
//
// A cgroup above p that has processes of its own cannot pass controllers on.
// That is no error here, since nothing may need them: Check and Apply tell.
func Create(p Path) (made []Path, err error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	if err := p.valid(); err != nil {
		return nil, fmt.Errorf("create cgroup: %w", err)
	}
	for name := range strings.SplitSeq(string(p[len(root)+1:]), "/") {
		if err := ValidateName(name); err != nil {
			return nil, fmt.Errorf("create cgroup %q: %w", string(p), err)
		}
	}
	defer func() {
		if err != nil {
			if rerr := RemoveMade(made); rerr != nil {
				err = errors.Join(err, rerr)
			}
			made = nil
		}
	}()
	if err := mkdirAll(p, &made); err != nil {
		return made, fmt.Errorf("create cgroup: %w", err)
	}
	if err := passControllers(root, p); err != nil {
		return made, fmt.Errorf("create cgroup: %w", err)
	}
	return made, nil
}

// mkdirAll makes p and what is missing above it, and appends to made what it
// made. It asks for p first, since usually that is all that is missing.
func mkdirAll(p Path, made *[]Path) error {
	var err error
	for range createTries {
		err = ignoringEINTR(func() error { return unix.Mkdir(string(p), 0o755) })
		switch {
		case err == nil:
			if !slices.Contains(*made, p) { // twice, if it was removed in between
				*made = append(*made, p)
			}
			return nil
		case errors.Is(err, unix.EEXIST):
			return nil
		case !errors.Is(err, unix.ENOENT) || p.parent().valid() != nil:
			return &fs.PathError{Op: "mkdir", Path: string(p), Err: mkdirCause(err)}
		}
		// The parent is missing, or was removed while it was empty.
		if err := mkdirAll(p.parent(), made); err != nil {
			return err
		}
	}
	return &fs.PathError{Op: "mkdir", Path: string(p), Err: fmt.Errorf("somebody keeps removing %q: %w", string(p.parent()), err)}
}

// mkdirCause explains what mkdir(2) means with errors that only cgroups give.
func mkdirCause(err error) error {
	if errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("cgroup.max.depth or cgroup.max.descendants of a cgroup above is reached: %w", err)
	}
	return err
}

// passControllers enables the root's controllers on each cgroup between root
// and p, so that p has them.
func passControllers(root, p Path) error {
	d, err := p.open()
	if err != nil {
		return err
	}
	defer d.close()
	// p below a threaded cgroup cannot hold a process at all until it becomes
	// threaded itself, and then has no memory or io limits. Neither is a pod.
	typ, err := d.readLine("cgroup.type")
	if err != nil {
		return asGone(err)
	}
	if typ == "domain invalid" || typ == "threaded" {
		return fmt.Errorf("cgroup %q is of type %q: a cgroup above it is threaded", string(p), typ)
	}
	has, err := d.readLine("cgroup.controllers")
	if err != nil {
		return asGone(err)
	}
	r, err := openDir(string(root))
	if err != nil {
		return err
	}
	defer r.close()
	all, err := r.readLine("cgroup.controllers")
	if err != nil {
		return err
	}
	if has == all {
		return nil
	}
	// Top down: a cgroup can only pass on what it has itself.
	above := r
	for name := range strings.SplitSeq(string(p[len(root)+1:]), "/") {
		above.enableAll()
		next, err := above.child(name)
		if err != nil {
			return err
		}
		defer next.close()
		above = next
	}
	return nil
}

// enableAll enables on d what d has, as far as that goes.
func (d *dir) enableAll() {
	line, err := d.readLine("cgroup.controllers")
	if err != nil || line == "" {
		return
	}
	// With a process in it, d must not even try: where only threaded
	// controllers (cpu, pids) are to be had, the kernel would comply, make d the
	// root of a threaded subtree and all below it invalid. The root of the
	// hierarchy, which has no cgroup.type, may hold processes.
	if _, err := d.readLine("cgroup.type"); err == nil {
		if pids, err := d.ownProcs(); err != nil || len(pids) > 0 {
			return
		}
	}
	if d.write("cgroup.subtree_control", enabling(line)) == nil {
		return
	}
	// All or nothing: one that cannot be had (cpu, when a real-time process is
	// about and the kernel groups those) spoils the rest.
	for _, c := range strings.Fields(line) {
		_ = d.write("cgroup.subtree_control", "+"+c)
	}
}

// enabling makes a cgroup.controllers what cgroup.subtree_control wants.
func enabling(controllers string) string {
	return "+" + strings.Join(strings.Fields(controllers), " +")
}

// enableWait bounds how long Enable waits for p to have no processes.
const enableWait = time.Second

// Enable enables every controller that p has for the cgroups below it, so that
// they can have limits and stats of their own. It is to be called when no
// process is in p itself any more; for one that has just exited it waits, for
// one that stays the error names it.
func (p Path) Enable() error {
	d, err := p.open()
	if err != nil {
		return fmt.Errorf("enable controllers: %w", err)
	}
	defer d.close()
	line, err := d.readLine("cgroup.controllers")
	if err != nil {
		return fmt.Errorf("enable controllers: %w", asGone(err))
	}
	if line == "" {
		return nil
	}
	err = d.write("cgroup.subtree_control", enabling(line))
	// A process that was waited for may still be on its way out of the cgroup:
	// the kernel lets go of it when its last task has switched away.
	for delay := removeDelay; errors.Is(err, unix.EBUSY) && delay < enableWait; delay *= 2 {
		time.Sleep(delay)
		err = d.write("cgroup.subtree_control", enabling(line))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EBUSY):
		pids, _ := d.ownProcs()
		return fmt.Errorf("enable controllers in cgroup %q: it has processes of its own: %s: %w", string(p), nameProcs(pids), unix.EBUSY)
	case gone(err):
		return fmt.Errorf("enable controllers: %w", asGone(err))
	}
	// One by one, as in enableAll: what cannot be enabled is missed, by name,
	// when a limit is set that needs it.
	d.enableAll()
	return nil
}

// readLine reads a file of one line.
func (d *dir) readLine(name string) (string, error) {
	b, err := d.read(name)
	return strings.TrimSpace(string(b)), err
}

// ancestors returns the cgroups above p that exist, the topmost (the root)
// first.
func (p Path) ancestors() []Path {
	var up []Path
	for a := p.parent(); len(a) >= len(mountpoint); a = Path(path.Dir(string(a))) {
		if _, err := os.Lstat(string(a)); err == nil {
			up = append(up, a)
		}
	}
	slices.Reverse(up)
	return up
}
