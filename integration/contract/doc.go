// Package contract holds podrt against runc, call by call: what the callers of
// an OCI runtime pass, read and wait for.
//
// A row of TestContract is one thing that a caller depends on. Its steps are
// done with podrt, with podrt called as runc and with the runc whose libcontainer
// podrt links; exit codes, output, the error in the log, files and cgroups that
// come of them must be the same, and must be what the row says they are. Only
// what has to differ is made alike before: paths, pids, times, and the program's
// name where podrt goes by its own. What callers do with a text or a file is in
// callers_test.go, as their sources have it.
//
// TestArguments gives random command lines to both. TestCodes provokes each code
// of the log's JSON line.
//
// # Where podrt differs on purpose
//
//	what                                       podrt                                      because
//	a switch before one of several arguments   is a switch: kill c1 --all 9               runc (urfave/cli v1) moves the argument along: kills "9"
//	a last flag without its value              is an error                                runc takes the ID for the value
//	No help topic for 'x'                      ends the log's message there               runc adds a newline to the message in the log
//	the JSON log without --debug               has the error alone, with a code           podman takes the whole log for one object
//	a config.json or process.json not parsed   is named before the parser's words         "unexpected EOF" says nothing to a person
//	a state.json that is no container's state  is a broken entry of list as any other     runc ends with a panic, and lists nothing
//	standard output that cannot be written     is an error of state, list -q, events, too half an answer with exit code 0 is taken for a whole one
//	a bad ID and bad terminal flags together   the flags are found first                  nothing is made before all is checked
//	--preserve-fds of a few that are not there gives /dev/null for them                   runc gives descriptors of its own, /sys/fs/cgroup among them
//	--preserve-fds of many that are not there  names the first; no state is left          runc does not count its own, and leaves its state
//	one --additional-gids of exec              adds the group once                        runc adds it twice
//	an annotation bundle                       is an annotation                           exec with runc looks for config.json there
//	update -r with a null memory               leaves the memory's limits alone           runc ends with a panic
//	a size that has too many bytes             is an error of update                      runc sets another one
//	a --pid-file that is a directory           leaves no file behind                      runc leaves .NAME beside it, and fails ever after
//	a limit without its controller             is named after runc's error                the kernel only says that there is no such file
//	signals that the caller ignores            are never ignored in a container           runc sees to it too late at times
//	an annotation dev.podrt.… that is wrong    is an error                                it is podrt's own
//	kill c1 RTMIN+1                            is signal 35                               a superset
//	run.oci.keep_original_groups, crun's       is an annotation                           podman writes it, for --group-add keep-groups
//	--cgroup-manager, crun's                   is a flag                                  podman passes it to runtimes of containers.conf
//	--config of create and run, crun's         is a flag                                  crun's callers and its suite pass it
//	--pidfd-socket of a missing socket         dial unix …                                runc: "failed to dail …"
//	--pid-file of a device or a FIFO           writes into it                             runc puts a file in its place: for /dev/null the host is broken
//	restore with a missing --image-path        makes no directory                         runc makes one, and fails then
//	restore, and a mount was ro and is not     is refused                                 the container can have exchanged two; runc restores the host's directory writable
//	restore, while CRIU works                  mounts nothing on the host                 killed, runc leaves the root file system in its state, and delete empties it
//	events without the memory controller       works                                      runc ends with an error at the first
//	a FIFO with a device number                is made                                    the specification has none for it; runc refuses it
//	delete --force                             waits for the processes' end               runc sleeps 100 ms and more, always
//	--version as runc                          1.x.y+podrt.0.1.0                          who parses it sees runc's, who reads it sees podrt
//	features                                   no cgroup v1; podrt's own annotations      podrt has no cgroup v1
//	default --root                             /run/podrt/containers                      a podrt beside a runc
//
// The package's tests climb to a rung by themselves, as those of package
// integration do. Natively they are those that need no controllers, in the VM
// the others.
package contract
