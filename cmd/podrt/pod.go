package main

import (
	"errors"

	"github.com/podrt/podrt/sandbox"
)

// podVerbs is the table of what can be done with whole pods.
func podVerbs() []*command {
	return []*command{
		podCreateCommand(),
		podExecCommand(),
		podInspectCommand(),
		podKillCommand(),
		podLogsCommand(),
		podLsCommand(),
		podMonitorCommand(),
		podPauseCommand(),
		podPsCommand(),
		podResumeCommand(),
		podRmCommand(),
		podRunCommand(),
		podStartCommand(),
		podStatsCommand(),
		podStopCommand(),
		podUpdateCommand(),
		podWaitCommand(),
	}
}

const podArgs = `<pod>

Where "<pod>" is the name or UID of a pod, or a unique prefix of either. A pod
behind an engine is also found by the engine's name of it (NAMESPACE/NAME, or
NAME) and by its UID in Kubernetes; its UID here is the id of its sandbox.`

const podsArgs = `<pod> [<pod>...]

Where "<pod>" is the name or UID of a pod, or a unique prefix of either. A pod
behind an engine is also found by the engine's name of it (NAMESPACE/NAME, or
NAME) and by its UID in Kubernetes; its UID here is the id of its sandbox. Each
pod is acted on; what failed is reported together.`

// eachPod acts on every named pod, also after one has failed.
func (e *env) eachPod(refs []string, act func(*sandbox.Pod) error) error {
	var errs []error
	for _, ref := range refs {
		p, err := e.store.Pod(ref)
		if err == nil {
			err = act(p)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// eachToRemove is eachPod for removal, which takes no prefix of a name; with
// optional set a pod that does not exist is no error.
func (e *env) eachToRemove(refs []string, optional bool, act func(*sandbox.Pod) error) error {
	var errs []error
	for _, ref := range refs {
		p, err := e.store.PodToRemove(ref)
		if err == nil {
			err = act(p)
		}
		if optional && errors.Is(err, sandbox.ErrPodNotExist) {
			err = nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
