/* The system calls that are left to the pod init. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

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
 * Even a tracer gets no more out of it than this. munmap and madvise serve
 * trim.c, read and write the channel, and then nothing: only /dev/null is open.
 * kill must be kill(-1), of which only the low half of the argument counts, a
 * pid is an int. The rest is EPERM, not death: the namespace would die along.
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
	ALLOW_CALL(SYS_munmap),
	ALLOW_CALL(SYS_madvise),
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

int podrt_install_filter(struct failure *f)
{
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), (struct sock_filter *)filter };

	/* A kernel without seccomp filters is no error. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0 && errno != EINVAL &&
	    errno != ENOSYS)
		return podrt_fail(f, errno, "install seccomp filter of", "pod init");
	return 0;
}

#else

int podrt_install_filter(struct failure *f)
{
	(void)f;
	return 0;
}

#endif
