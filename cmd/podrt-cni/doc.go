// Command podrt-cni attaches pods to networks of CNI, and takes them out again.
// It is what podrt executes for that (see netsetup.CNI): it reads one request as
// JSON on its standard input, does it, and writes one answer on its standard
// output. The exit status is 0 if there is an answer, whatever it says.
//
// It is a program of its own for what it links, which no start of a container
// should pay for. It keeps no state but what netsetup.CNI describes.
//
// Every plugin is the leader of a process group, which is killed with podrt-cni,
// or when the plugin takes too long. What has left the group, or was left behind
// by a podrt-cni that was killed, is known by netsetup.CNIPodEnv in its
// environment, and is killed before the plugins are executed with DEL: nothing is
// made after that.
package main
