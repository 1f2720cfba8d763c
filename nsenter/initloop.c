/*
 * What the pod init does for the rest of its life: pass signals on. Reaping is
 * the kernel's (init.c). No libc here, and nothing that makes the compiler call
 * it: no initialised arrays on the stack, no copies of structures.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

#include "rawsyscall.h"
#include "sandbox.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef FILTER_ARCH

#define LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define ALLOW_CALL(nr)                                         \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(nr), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/*
 * Even a tracer gets no more out of it than this. read and write serve the
 * channel and then nothing: only /dev/null is open. kill must be kill(-1), and
 * only the low half of the argument counts, a pid is an int. The rest is EPERM,
 * not death: the namespace would die along.
 */
static const struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
	LOAD(nr),
	ALLOW_CALL(SYS_rt_sigtimedwait),
	ALLOW_CALL(SYS_read),
	ALLOW_CALL(SYS_write),
	ALLOW_CALL(SYS_close),
	ALLOW_CALL(SYS_exit_group),
	ALLOW_CALL(SYS_restart_syscall),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 0, 3),
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	LOAD(args[0]),
#else
#error "the low half of args[0] is elsewhere"
#endif
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};

/* 0 or an errno. A kernel without seccomp filters is no error. */
static int install_filter(void)
{
	struct sock_fprog prog;
	long ret;

	prog.len = sizeof(filter) / sizeof(filter[0]);
	prog.filter = (struct sock_filter *)filter;
	ret = raw_syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&prog, 0);
	return ret == 0 || ret == -EINVAL || ret == -ENOSYS ? 0 : (int)-ret;
}

#else

static int install_filter(void)
{
	return 0;
}

#endif

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

void podrt_init_loop(int channel, int proc, const struct message *ready, struct message *refused)
{
	/* The kernel's own sigset, 8 bytes: not libc's. */
	uint64_t set = 1ULL << (SIGTERM - 1) | 1ULL << (SIGINT - 1) | 1ULL << (SIGHUP - 1) |
		       1ULL << (SIGQUIT - 1) | 1ULL << (SIGUSR1 - 1) | 1ULL << (SIGUSR2 - 1);
	siginfo_t info;
	int err;
	char go;

	raw_syscall(SYS_close, proc, 0, 0, 0);
	err = install_filter();
	if (err != 0) {
		refused->failure.err = err;
		raw_syscall(SYS_write, channel, (long)refused, sizeof(*refused), 0);
		quit();
	}
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
