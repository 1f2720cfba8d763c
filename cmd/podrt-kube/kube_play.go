package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podrt/podrt/cmd/podrt-kube/manifest"
	"github.com/podrt/podrt/sandbox"
)

func kubePlayCommand() *command {
	var m manifests
	var detach, replace bool
	var network string
	return &command{
		name:  "play",
		usage: "run the Pods of a manifest",
		args: `<manifest>

` + manifestArg + `
A Pod is run as by "podrt pod run", whose output and exit status it has; several are
run with --detach only, which prints their UIDs. Images are pulled as the Pods say.`,
		flags: func(f *flag.FlagSet) {
			m.register(f)
			f.BoolVar(&detach, "detach", false, "leave the pods running; prints their UIDs")
			f.BoolVar(&detach, "d", false, "the same as --detach")
			f.BoolVar(&replace, "replace", false, "stop and remove pods of these names first that an earlier play has made")
			f.StringVar(&network, "network", "", "`MODE` instead of bridge: as of podrt pod run")
		},
		min: 1, max: 1,
		run: func(ctx context.Context, e *env, args []string) (err error) {
			defer func() {
				if err != nil {
					err = &statusError{err, notRun} // 1 may be a container's
				}
			}()
			o, err := m.read(e, args[0])
			if err != nil {
				return err
			}
			if n := len(o.Pods); n > 1 && !detach {
				return fmt.Errorf("%s: %d Pods: only with --detach, as there is one output", args[0], n)
			}
			for _, p := range o.Pods {
				if p.UID == "" {
					p.UID = types.UID(newUID())
				}
			}
			bundles, err := m.compile(ctx, e, o)
			if err != nil {
				return err
			}
			r := runner{env: e, detach: detach}
			if r.podrt, err = podrtProgram(); err != nil {
				return err
			}
			if err := r.check(ctx, bundles, network); err != nil {
				return err
			}
			if err := r.makeRoom(ctx, o.Pods, replace); err != nil {
				return err
			}
			return r.run(ctx, bundles)
		},
	}
}

// notRun is the exit status of podrt pod run of a pod that could not be run.
const notRun = 125

func kubeDownCommand() *command {
	return &command{
		name:  "down",
		usage: "stop and remove the pods of a manifest",
		args: `<manifest>

` + manifestArg + `
Pods of these names that "podrt kube play" has made are stopped, with their grace
periods, and removed. One that does not exist is no error.`,
		min: 1, max: 1,
		run: func(ctx context.Context, e *env, args []string) error {
			o, err := new(manifests).read(e, args[0])
			if err != nil {
				return err
			}
			r := runner{env: e}
			if r.podrt, err = podrtProgram(); err != nil {
				return err
			}
			found, err := r.played(o.Pods)
			return errors.Join(err, r.remove(ctx, found), e.store.Sweep())
		},
	}
}

// runner runs podrt.
type runner struct {
	*env
	podrt  string
	detach bool
}

// check verifies what can be of pods that are to come in the place of others, with
// that network if it is not "".
func (r *runner) check(ctx context.Context, bundles []*manifest.Bundle, network string) error {
	var errs []error
	seen := map[string]string{}
	for _, b := range bundles {
		m := &b.Spec.Metadata
		if other, ok := seen[m.UID]; ok {
			errs = append(errs, fmt.Errorf("pod %q: UID %q: is that of the pod %q", m.Name, m.UID, other))
		}
		seen[m.UID] = m.Name
		switch p, err := r.store.PodByUID(m.UID); {
		case errors.Is(err, sandbox.ErrPodNotExist):
		case err != nil:
			errs = append(errs, err)
		case p.Name() != m.Name:
			errs = append(errs, fmt.Errorf("pod %q: UID %q: is that of the pod %q", m.Name, m.UID, p.Name()))
		}
		if network != "" {
			b.Spec.Network.Mode = network
		}
		if err := r.store.CheckPod(ctx, b.Spec); err != nil {
			errs = append(errs, fmt.Errorf("pod %q: %w", m.Name, err))
		}
	}
	return errors.Join(errs...)
}

// played finds the pods of the names of Pods that were made by a play. One of such a
// name that was not is an error.
func (r *runner) played(pods []*manifest.Pod) (found []*sandbox.Pod, _ error) {
	var errs []error
	for _, want := range pods {
		p, err := r.store.PodToRemove(want.Name)
		switch {
		case errors.Is(err, sandbox.ErrPodNotExist):
		case err != nil:
			errs = append(errs, err)
		case p.Name() != want.Name: // its UID begins so
		case !p.OwnsBundle():
			errs = append(errs, fmt.Errorf("pod %q (%s): was not made by kube play: podrt pod rm removes it", p.Name(), p.UID()))
		default:
			found = append(found, p)
		}
	}
	return found, errors.Join(errs...)
}

// makeRoom verifies that there are no pods of these names, or removes them.
func (r *runner) makeRoom(ctx context.Context, pods []*manifest.Pod, replace bool) error {
	found, err := r.played(pods)
	if err != nil {
		return err
	}
	if replace {
		return r.remove(ctx, found)
	}
	var errs []error
	for _, p := range found {
		errs = append(errs, fmt.Errorf("pod %q (%s): %w; --replace removes it first", p.Name(), p.UID(), sandbox.ErrPodExist))
	}
	return errors.Join(errs...)
}

// remove stops and removes pods.
func (r *runner) remove(ctx context.Context, pods []*sandbox.Pod) error {
	if len(pods) == 0 {
		return nil
	}
	uids := make([]string, len(pods))
	for i, p := range pods {
		uids[i] = p.UID()
	}
	if err := r.command(ctx, append([]string{"pod", "stop"}, uids...)...).Run(); err != nil {
		// It has said why. What cannot be stopped is removed all the same.
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return failed("pod rm", r.command(ctx, append([]string{"pod", "rm", "--force"}, uids...)...).Run())
}

// command is a podrt with the global flags of this program. What it prints is for
// people: results are those of this program.
func (r *runner) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.podrt, append(slices.Clone(r.global), args...)...)
	cmd.Stdout, cmd.Stderr = r.stderr, r.stderr
	// It ends what it has begun.
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	return cmd
}

// failed is the error of a podrt that has said itself what was wrong.
func failed(what string, err error) error {
	var status *exec.ExitError
	if errors.As(err, &status) && status.ExitCode() > 0 {
		return exitStatus(status.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("podrt %s: %w", what, err)
	}
	return nil
}

// run runs the pods of the bundles; if one cannot be run, none is left.
func (r *runner) run(ctx context.Context, bundles []*manifest.Bundle) error {
	dirs := make([]string, len(bundles))
	for i, b := range bundles {
		dir, err := r.store.MakeOwnBundle(b.Spec.Metadata.UID)
		if err != nil {
			return errors.Join(err, r.drop(bundles[:i])) // not this one, which may be another's
		}
		if err := b.Write(dir); err != nil {
			return errors.Join(err, r.drop(bundles[:i+1]))
		}
		dirs[i] = dir
	}
	args := []string{"pod", "run"}
	if r.detach {
		args = append(args, "--detach")
	}
	if len(bundles) == 1 {
		// In the place of this process, which has nothing more to do.
		argv := slices.Concat([]string{r.podrt}, r.global, args, dirs)
		err := unix.Exec(r.podrt, argv, os.Environ())
		return errors.Join(fmt.Errorf("execute %q: %w", r.podrt, err), r.drop(bundles))
	}
	for i, dir := range dirs {
		cmd := r.command(ctx, append(slices.Clone(args), dir)...)
		var uid bytes.Buffer
		cmd.Stdout = &uid
		if err := failed("pod run", cmd.Run()); err != nil {
			return errors.Join(err, r.undo(ctx, bundles[:i]), r.drop(bundles[i:]))
		}
		if _, err := fmt.Fprintln(r.stdout, strings.TrimSpace(uid.String())); err != nil {
			return err
		}
	}
	return nil
}

// undo removes the pods that run, the last one first.
func (r *runner) undo(ctx context.Context, bundles []*manifest.Bundle) error {
	var errs []error
	for _, b := range slices.Backward(bundles) {
		errs = append(errs, failed("pod rm", r.command(context.WithoutCancel(ctx), "pod", "rm", "--force", b.Spec.Metadata.UID).Run()))
	}
	return errors.Join(errs...)
}

// drop removes the bundles of pods that were not made.
func (r *runner) drop(bundles []*manifest.Bundle) error {
	var errs []error
	for _, b := range bundles {
		errs = append(errs, r.store.DropOwnBundle(b.Spec.Metadata.UID))
	}
	return errors.Join(errs...)
}
