// Command podrt-kube keeps images, and runs Kubernetes' manifests: what podrt
// executes for `podrt image …` and `podrt kube …`.
//
// It is a program of its own for what it links, which no start of a container
// should pay for. It has podrt's global flags of the roots, as podrt passes them
// on, and runs pods by executing podrt, which $PODRT names, or else the one beside
// it.
//
// main.go has the table of verbs; a command file is a verb's flags, one call of a
// package, its output; command.go is what they share.
package main
