/*
 * Forking the pod init: PID 1 of the PID namespace that its parent has made,
 * and from birth in its own cgroup.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* clone3(2)'s argument as of Linux 5.7; older headers lack the last field. */
struct clone3_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal;
	uint64_t stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/*
 * Born there, and not moved: writing cgroup.procs waits for an RCU grace
 * period, 7 ms. Where clone3 is missing, or a seccomp filter hides it, the
 * sandbox process moves the pod init afterwards; *outside tells.
 */
static pid_t fork_into(int cgroup, int *outside)
{
	*outside = 0;
	if (cgroup >= 0) {
		struct clone3_args args;
		pid_t pid;

		memset(&args, 0, sizeof(args));
		args.flags = CLONE_INTO_CGROUP;
		args.exit_signal = SIGCHLD;
		args.cgroup = (uint64_t)cgroup;
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (pid >= 0 || (errno != ENOSYS && errno != E2BIG && errno != EINVAL))
			return pid;
		*outside = 1;
	}
	return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

/*
 * The caller has unshared CLONE_NEWPID. m gets the pid as the caller sees it.
 * channel[1] is the pod init's end, and open in it alone afterwards.
 */
int podrt_init_spawn(const struct config *cfg, int channel[2], int proc,
		     struct message *m, struct failure *f)
{
	pid_t pid = fork_into(cfg->init_cgroup_fd, &m->outside);

	if (pid < 0)
		return podrt_fail(f, errno, "fork", "pod init");
	if (pid == 0)
		podrt_init(cfg, channel[1], proc);
	m->pid = pid;
	podrt_closed(&channel[1]);
	return 0;
}
