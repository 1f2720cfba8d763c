// Package nsenter makes a pod's namespaces and keeps them: each is bound onto a
// pin file, so that it outlives every process, and a pod that does not share
// its PID namespace needs none.
//
// Whoever links it also gets two constructors that do nothing but save time, in
// podrt itself (grace.c) and in the inits of libcontainer (slack.c), and one that
// keeps the signals that a caller ignores from containers (disposition.c).
//
// # The sandbox process
//
// Namespaces have to be unshared, and forked with, by a process of a single
// thread, which a Go program never is. So [Create] executes this program once
// more with the variable _PODRT_SANDBOX set, and a C constructor
// (constructor.c) takes over before Go's runtime starts, works, reports and
// exits. It never acts in a process of libcontainer's (_LIBCONTAINER_INITPIPE).
// Its config comes in a memfd, its report goes to a pipe; sandbox.h has both
// formats. In order:
//
//  1. unshare. With a user namespace a second process, the member, lives inside
//     it and makes the other namespaces, which it therefore owns (userns.c);
//     the sandbox process writes its maps and stays outside.
//  2. time offsets; fork of the pod init, where PID is shared.
//  3. hostname, domainname, sysctls (written, then read back), lo up, all
//     inside the new namespaces, with the rights of the host's root.
//  4. pins: each namespace is mounted over its file in the pin directory.
//
// # What a failure or a crash leaves
//
// Create makes the empty pin files (exclusively: one that exists is an error)
// before it starts the process, and takes back pins and files on any error,
// also when the process was killed. All other things die with their processes:
// the sandbox process is killed when the thread that made it dies, member and
// pod init end when the sandbox process does, until the pins stand. When
// podrt itself is killed, what is left is in the pin directory, where [Unpin]
// finds it, and in the pod's cgroups. So to take down a pod that was being
// made: kill the pod's cgroups and wait until they are empty, or get the lock
// that the sandbox process holds (Config.Hold), then Unpin.
//
// # The pod init
//
// PID 1 of a shared PID namespace is forked from the sandbox process before Go
// starts; init.c and initloop.c say what it is and what is taken from it. It
// leaves reaping to the kernel, passes SIGTERM, SIGINT, SIGHUP, SIGQUIT,
// SIGUSR1 and SIGUSR2 on to all processes of the namespace when they come by
// kill(2) from outside of it (unless the same signal from inside is pending at
// that moment: then the kernel makes one of both, signal(7)), and ends by
// SIGKILL from outside only: through cgroup.kill. Its parent exits, so it
// becomes a child of the nearest subreaper among podrt's ancestors (podrt
// itself, where podrt is one) or of the host's init, which reap it. Not podrt's
// child by CLONE_PARENT: a podrt that lives on without being a subreaper would
// have to wait for a process it never started.
// Who wants to know of its end polls [Result.InitPidFD]. Killed, it ends only
// when all processes of its namespace have been reaped, also those whose
// parents are outside (pid_namespaces(7)): so reap the containers first.
//
// It executes no file and its executable is [Config.Exe] for as long as it
// lives. That should be a sealed overlay rather than a memfd, whose copy of the
// binary would stay in memory with it.
//
// # Requirements
//
// Root (in a user namespace of one's own it works, but for settings that are
// the host's), procfs on /proc, Linux 5.9 (close_range; 5.7 CLONE_INTO_CGROUP,
// 5.6 time namespaces and openat2), cgo.
package nsenter
