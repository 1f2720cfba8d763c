/*
 * The pod init: PID 1 of the pod's shared PID namespace. The kernel needs one,
 * and takes the whole namespace down with it.
 *
 * It is the one process of podrt's that containers can see, so it is made to
 * be of no use to them: undumpable (its memory, descriptors and executable are
 * closed to anyone without CAP_SYS_PTRACE in the initial user namespace), no
 * descriptor but /dev/null, an empty root, no capability but CAP_KILL, and a
 * seccomp filter that lets it wait and send signals.
 *
 * Its parent ends, so it falls to the nearest subreaper or to the host's init.
 * It does not ask for a signal when podrt dies: it outlives podrt.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Close all descriptors from 3 but two. close_range(2), Linux 5.9. */
static int close_others(int a, int b, struct failure *f)
{
	unsigned int low = (unsigned int)(a < b ? a : b);
	unsigned int high = (unsigned int)(a < b ? b : a);

	if ((low > 3 && syscall(SYS_close_range, 3, low - 1, 0) < 0) ||
	    (high > low + 1 && syscall(SYS_close_range, low + 1, high - 1, 0) < 0) ||
	    syscall(SYS_close_range, high + 1, ~0U, 0) < 0)
		return podrt_fail(f, errno, "close descriptors of", "pod init");
	return 0;
}

static int set_disposition(int sig, void (*handler)(int))
{
	/* The kernel's struct sigaction, for libc keeps signals 32 and 33 to
	 * itself and leaves them as they were inherited. Flags, restorer and mask
	 * are 0. */
	uint64_t act[4] = { (uintptr_t)handler, 0, 0, 0 };

	return (int)syscall(SYS_rt_sigaction, sig, act, NULL, sizeof(uint64_t));
}

/*
 * Default dispositions for all but SIGCHLD: ignoring that makes the kernel
 * reap every child, orphans included, without waking anybody. As PID 1, a
 * signal with its default disposition is dropped when it comes (only SIGKILL
 * and SIGSTOP from outside count), so nothing piles up here. Those to forward
 * stay blocked until initloop.c waits for them.
 */
static int reset_signals(struct failure *f)
{
	static const int forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	sigset_t set;

	for (int sig = 1; sig < NSIG; sig++) {
		/* SIGKILL and SIGSTOP refuse. */
		if (set_disposition(sig, sig == SIGCHLD ? SIG_IGN : SIG_DFL) < 0 && sig == SIGCHLD)
			return podrt_fail(f, errno, "ignore SIGCHLD in", "pod init");
	}
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
		sigaddset(&set, forwarded[i]);
	if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
		return podrt_fail(f, errno, "block signals of", "pod init");
	return 0;
}

/*
 * CAP_KILL alone, and no way back: forwarding a signal reaches processes of any
 * uid. Without a user namespace it is the host's CAP_KILL, but kill(2) sees
 * only the PID namespace.
 */
static int drop_privileges(struct failure *f)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	for (unsigned long cap = 0; cap < 64; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		if (errno == EINVAL && cap > CAP_KILL)
			break; /* the kernel knows no more of them */
		return podrt_fail(f, errno, "drop bounding capabilities of", "pod init");
	}
	if (prctl(PR_SET_SECUREBITS,
		  SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
			  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
			  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		  0, 0, 0) < 0)
		return podrt_fail(f, errno, "set securebits of", "pod init");
	memset(data, 0, sizeof(data));
	data[0].effective = data[0].permitted = 1U << CAP_KILL;
	if (syscall(SYS_capset, &head, data) < 0)
		return podrt_fail(f, errno, "drop capabilities of", "pod init");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return podrt_fail(f, errno, "set no_new_privs of", "pod init");
	return 0;
}

/* All that may fail. *maps is what trim.c reads. */
static int set_up(const struct config *cfg, int channel, int proc, int *maps, struct failure *f)
{
	/* First of all: an inherited copy of a channel would hide a death. */
	if (close_others(channel, proc, f) < 0)
		return -1;
	if ((cfg->flags & CLONE_NEWUSER) != 0) {
		/* What the member left to do, see userns.c. */
		if (podrt_become_root(f) < 0 ||
		    podrt_unshare(cfg->flags & CLONE_NEWIPC, f) < 0)
			return -1;
	}
	if (setsid() < 0)
		return podrt_fail(f, errno, "make session of", "pod init");
	umask(077);
	prctl(PR_SET_NAME, "podrt-init", 0, 0, 0);
	*maps = podrt_open_beneath(proc, "self/maps", O_RDONLY);
	if (*maps < 0)
		return podrt_fail(f, errno, "read memory map of", "pod init");
	close(proc);
	if (reset_signals(f) < 0 || podrt_empty_root(f) < 0 || drop_privileges(f) < 0)
		return -1;
	return podrt_install_filter(f);
}

void podrt_init(const struct config *cfg, int channel, int proc)
{
	struct message ready;
	int maps = -1;

	memset(&ready, 0, sizeof(ready));
	if (set_up(cfg, channel, proc, &maps, &ready.failure) < 0) {
		(void)podrt_send(channel, &ready);
		_exit(1);
	}
	podrt_trim(maps);
	podrt_init_loop(channel, &ready);
}
