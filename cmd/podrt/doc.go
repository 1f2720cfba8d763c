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
// the log, and in which words, is in logging.go and codes.go. The groups image and
// kube are those of podrt-kube, which elsewhere.go executes.
//
// # Pods behind engines
//
// create, run and restore look at the annotations of config.json:
//
//	io.kubernetes.cri.*, io.kubernetes.cri-o.*  the container is an engine's
//	io.kubernetes.docker.type and its like      sandbox, or beside one
//	dev.podrt.pod=NAME                          exactly --pod NAME
//	dev.podrt.engine-pods=false                 the engine's are ignored
//
// --engine-pods=false ignores them for every container, and is what an engine
// passes that shall have plain containers only (containerd: a wrapper; podman and
// CRI-O: runtime arguments). Naming two pods, in whatever way, is an error: the
// author of a Kubernetes pod may write annotations, and must not get into a pod
// that was made by hand, not even where the engine's are ignored. An engine that
// passes annotations of images on, as podman does, lets images name one all the
// same: `podrt features` lists dev.podrt. among what may be unsafe. An engine's pod
// is looked at, paused, resumed and killed by `podrt pod`; stop, start and rm are
// the engine's, but rm -f removes it with its containers.
//
// What this program links is paid at every container start: deps_test.go lists
// the modules, each with its reason.
package main
