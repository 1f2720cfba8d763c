/*
 * What the pod init does for the rest of its life: pass signals on. Reaping is
 * the kernel's (init.c). No libc here, and nothing that makes the compiler call
 * it or read a table: no initialised arrays, no copies of structures.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>

#include "rawsyscall.h"
#include "sandbox.h"

static void quit(void) __attribute__((noreturn));
static void quit(void)
{
	for (;;)
		raw_syscall(SYS_exit_group, 1, 0, 0, 0);
}

/*
 * Only what somebody outside the namespace sent: then the kernel gives si_pid 0.
 * A sender inside could forge that with sigqueue(3), but not with these codes.
 */
static int from_outside(const siginfo_t *info)
{
	return (info->si_code == SI_USER || info->si_code == SI_TKILL) && info->si_pid == 0;
}

void podrt_init_loop(int channel, const struct message *ready)
{
	/* The kernel's own sigset, 8 bytes: not libc's. */
	uint64_t set = 1ULL << (SIGTERM - 1) | 1ULL << (SIGINT - 1) | 1ULL << (SIGHUP - 1) |
		       1ULL << (SIGQUIT - 1) | 1ULL << (SIGUSR1 - 1) | 1ULL << (SIGUSR2 - 1);
	siginfo_t info;
	char go;

	/* Until the pins stand and are reported, a death upstream ends this one.
	 * (SIGPIPE is nothing to a PID 1.) */
	if (raw_syscall(SYS_write, channel, (long)ready, sizeof(*ready), 0) != sizeof(*ready))
		quit();
	if (raw_syscall(SYS_read, channel, (long)&go, 1, 0) != 1)
		quit();
	raw_syscall(SYS_close, channel, 0, 0, 0);

	for (;;) {
		long sig = raw_syscall(SYS_rt_sigtimedwait, (long)&set, (long)&info, 0, sizeof(set));

		if (sig > 0) {
			if (from_outside(&info))
				raw_syscall(SYS_kill, -1, sig, 0, 0);
		} else if (sig != -EINTR && sig != -EAGAIN) {
			quit(); /* rather than spin */
		}
	}
}
