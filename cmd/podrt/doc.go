// Command podrt runs pods and OCI containers.
//
// Its OCI verbs take the flags, print the output and fail with the strings and
// exit codes of runc, so that engines can call it in runc's place; called as
// "runc" it also says that it is. libcontainer and the sandbox process of a pod
// re-execute this binary, see init.go: what it links is part of the start of
// every container.
//
// # How it is made
//
// main.go has the table of verbs, pod.go that of `podrt pod`. A command file is
// a verb's flags, one call of package sandbox, its output; command.go and
// flags.go are what they share. runner.go with streams.go, console.go,
// signals.go and notify.go stays with a process that was started in the
// foreground; pod_output.go does so for the containers of a pod. What goes to
// the log, and in which words, is in logging.go and codes.go.
//
// What this program links is paid at every container start: deps_test.go lists
// the modules, each with its reason.
package main
