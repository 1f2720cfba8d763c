/*
 * With a user namespace there is a second process, the member. It lives inside
 * the user namespace and makes the others there, so that they are owned by it;
 * the sandbox process stays outside, because only there may it write the maps,
 * mount onto the pins and write settings as the host's root.
 *
 * The member touches no file. It ends when its channel does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

/*
 * Root of the user namespace, and no group of the host's. The raw calls: libc's
 * would look for other threads to carry along.
 */
int podrt_become_root(struct failure *f)
{
	if (syscall(SYS_setgroups, 0, NULL) < 0)
		return podrt_fail(f, errno, "drop groups in namespace", "user");
	if (syscall(SYS_setresgid, 0, 0, 0) < 0)
		return podrt_fail(f, errno, "become gid 0 in namespace", "user");
	if (syscall(SYS_setresuid, 0, 0, 0) < 0)
		return podrt_fail(f, errno, "become uid 0 in namespace", "user");
	/* Changing ids set it to fs.suid_dumpable. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return podrt_fail(f, errno, "make undumpable", "");
	return 0;
}

static void member_fail(int channel, const struct failure *f)
{
	struct message m = { .failure = *f };

	(void)podrt_send(channel, &m);
	_exit(1);
}

/*
 * An IPC namespace remembers who made it: the owner of its message queue
 * directory. So it is made as root of the user namespace. But the pod init is
 * born into a cgroup that only the host's root may write to, so its parent
 * must not have become root inside yet. With a PID namespace the pod init
 * therefore makes the IPC namespace (init.c), without one the member does.
 */
static void member(const struct config *cfg, int channel, int init_channel[2], int proc)
{
	uint32_t flags = cfg->flags & ~(uint32_t)CLONE_NEWUSER;
	int has_init = (flags & CLONE_NEWPID) != 0;
	struct failure f = { .err = 0 };
	struct message m = { .pid = 0 };

	if (podrt_wait_go(channel) < 0)
		_exit(1);
	if (has_init)
		flags &= ~(uint32_t)CLONE_NEWIPC;
	else if (podrt_become_root(&f) < 0)
		member_fail(channel, &f);
	if (podrt_unshare(flags, &f) < 0)
		member_fail(channel, &f);
	if (podrt_send(channel, &m) < 0)
		_exit(1);
	/* Now the time offsets are written: none may be in the namespace before. */
	if (has_init) {
		if (podrt_wait_go(channel) < 0)
			_exit(1);
		if (podrt_init_spawn(cfg, init_channel, proc, &m, &f) < 0)
			member_fail(channel, &f);
		if (podrt_send(channel, &m) < 0)
			_exit(1);
	}
	/* Hold the namespaces until they are pinned. */
	if (podrt_wait_go(channel) == 0)
		_exit(0);
	/* It failed. The pod init sees its channel closed, too, unless it had been
	 * let go already. Leave neither it nor a zombie. */
	if (has_init) {
		kill(m.pid, SIGKILL);
		waitpid(m.pid, NULL, 0);
	}
	_exit(1);
}

int podrt_member_start(const struct config *cfg, int init_channel[2], int proc,
		       struct member *m, struct failure *f)
{
	struct message unshared;
	int channel[2], task;
	pid_t pid;

	if (podrt_channel(channel, f) < 0)
		return -1;
	/* fork(2) with a flag; libc's own state is that of a single thread. */
	pid = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_NEWUSER, 0, 0, 0, 0);
	if (pid < 0)
		return podrt_fail(f, errno, "unshare", "user");
	if (pid == 0) {
		/* Else it would wait for itself. */
		close(channel[0]);
		podrt_closed(&init_channel[0]);
		member(cfg, channel[1], init_channel, proc);
	}
	close(channel[1]);
	podrt_closed(&init_channel[1]);
	m->pid = pid;
	m->channel = channel[0];

	task = podrt_open_task(proc, pid, f);
	if (task < 0)
		return -1;
	if (podrt_write_at(task, "gid_map", cfg->gid_map) < 0)
		return podrt_fail(f, errno, "write gid map of namespace", "user");
	if (podrt_write_at(task, "uid_map", cfg->uid_map) < 0)
		return podrt_fail(f, errno, "write uid map of namespace", "user");
	close(task);
	if (podrt_go(m->channel) < 0)
		return podrt_fail_detail(f, "wait for", "user namespace member", "it died");
	return podrt_receive(m->channel, "user namespace member", &unshared, f);
}
