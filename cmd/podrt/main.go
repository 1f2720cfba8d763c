package main

import "os"

// Set by the linker (-X main.version=… -X main.gitCommit=…).
var (
	version   = "0.0.0-dev"
	gitCommit string // of the source tree; empty when built outside of one
)

func main() { os.Exit(run(os.Args)) }

// verbs is the one table of what podrt can do, in the order of the help.
func verbs() []*command {
	return []*command{
		completeCommand(),
		checkpointCommand(),
		completionCommand(),
		createCommand(),
		deleteCommand(),
		eventsCommand(),
		execCommand(),
		featuresCommand(),
		gcCommand(),
		imageCommand(),
		killCommand(),
		kubeCommand(),
		listCommand(),
		manCommand(),
		networkCommand(),
		pauseCommand(),
		podCommand(),
		psCommand(),
		restoreCommand(),
		resumeCommand(),
		runCommand(),
		specCommand(),
		startCommand(),
		stateCommand(),
		updateCommand(),
	}
}

// podCommand is the group of the verbs that act on whole pods.
func podCommand() *command {
	return &command{
		name:  "pod",
		usage: "make, run and look at pods",
		sub:   podVerbs(),
	}
}
