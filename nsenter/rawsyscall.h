/*
 * System calls without libc, for the code that runs after podrt_trim took
 * libc's data away. They return a negative errno. static and inlined: nothing
 * here needs a relocation or a variable.
 */
#ifndef PODRT_NSENTER_RAWSYSCALL_H
#define PODRT_NSENTER_RAWSYSCALL_H

#include <sys/syscall.h>

#if defined(__x86_64__) && !defined(__ILP32__)
#define PODRT_RAW_SYSCALL 1
static inline long raw_syscall(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
#define PODRT_RAW_SYSCALL 1
static inline long raw_syscall(long nr, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}
#else
/* Elsewhere podrt_trim does nothing, and libc stays usable. */
#define PODRT_RAW_SYSCALL 0
#include <errno.h>
#include <unistd.h>
static inline long raw_syscall(long nr, long a, long b, long c, long d)
{
	long ret = syscall(nr, a, b, c, d);

	return ret < 0 ? -errno : ret;
}
#endif

#endif
