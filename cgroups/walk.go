package cgroups

import "errors"

// walk visits d and every cgroup below it, parents first. On the way back up it
// calls leave with each one's parent and name, so that children come before
// their parents; d itself is not left. Either function may be nil. Cgroups that
// vanish meanwhile are passed over.
//
// A container with a writable cgroup of its own can nest cgroups deeper than
// PATH_MAX and than there are descriptors. So walk holds two descriptors at
// most and goes up by "..", which is sound: the kernel does not move
// directories of the unified hierarchy.
func (d *dir) walk(visit func(*dir) error, leave func(parent *dir, name string) error) error {
	type level struct {
		name string   // of the directory, in its parent
		rest []string // children still to be visited
	}
	enter := func(d *dir) ([]string, error) {
		if visit != nil {
			if err := visit(d); err != nil {
				return nil, err
			}
		}
		return d.children()
	}
	names, err := enter(d)
	if err != nil {
		return err
	}
	stack := []level{{rest: names}}
	cur := d
	defer func() {
		if cur != d {
			cur.close()
		}
	}()
	step := func(to *dir) {
		if cur != d {
			cur.close()
		}
		cur = to
	}
	for {
		top := &stack[len(stack)-1]
		if n := len(top.rest); n > 0 {
			name := top.rest[n-1]
			top.rest = top.rest[:n-1]
			child, err := cur.child(name)
			if gone(err) {
				continue
			}
			if err != nil {
				return err
			}
			step(child)
			names, err := enter(child)
			if err != nil && !gone(err) {
				return err
			}
			stack = append(stack, level{name, names})
			continue
		}
		if len(stack) == 1 {
			return nil
		}
		name := top.name
		stack = stack[:len(stack)-1]
		if len(stack) == 1 {
			step(d)
		} else {
			up, err := cur.child("..")
			if err != nil {
				return errors.Join(errors.New("leave cgroup"), err)
			}
			step(up)
		}
		if leave != nil {
			if err := leave(cur, name); err != nil {
				return err
			}
		}
	}
}
