package main

import "os"

// Set by the linker (-X main.version=… -X main.gitCommit=…).
var (
	version   = "0.0.0-dev"
	gitCommit string // of the source tree; empty when built outside of one
)

func main() { os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

// verbs is the one table of what podrt-kube can do, in the order of the help.
func verbs() []*command {
	return []*command{
		imageCommand(),
		kubeCommand(),
	}
}
