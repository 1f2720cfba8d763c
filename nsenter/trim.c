/*
 * The pod init gives back the memory of the program it was forked from: what
 * Go's linker and libc's start have touched, relocated tables of a
 * position-independent binary above all (400 kB and more). What is left is a
 * page or two of stack, libc's thread block, and the page of the loop.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "rawsyscall.h"
#include "sandbox.h"

#if PODRT_RAW_SYSCALL

/* One line of /proc/self/maps, as far as it matters. */
struct mapping {
	uintptr_t start, end;
	char writable; /* 'w' or '-' */
	char name[2];  /* how the last column begins */
};

/*
 * Writable mappings go, but for the stack and the one with the thread block:
 * the kernel writes to that one itself (rseq(2)). From the others only the
 * pages go; they come back from the file when the loop runs. A relocated
 * read-only table comes back unrelocated, which is why libc is over then.
 * [vdso] and its like are the kernel's.
 */
static void drop(const struct mapping *m, uintptr_t stack, uintptr_t thread)
{
	if (stack >= m->start && stack < m->end)
		return;
	if (thread >= m->start && thread < m->end)
		return;
	if (m->name[0] == '[' && m->name[1] == 'v')
		return;
	if (m->writable == 'w')
		raw_syscall(SYS_munmap, (long)m->start, (long)(m->end - m->start), 0, 0);
	else
		raw_syscall(SYS_madvise, (long)m->start, (long)(m->end - m->start),
			    MADV_DONTNEED, 0);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/*
 * Called when all that needs libc is done; maps is /proc/self/maps, and closed.
 * Best effort: what is not given back costs memory and nothing else. (The file
 * goes on at the next address, whatever was unmapped meanwhile.)
 */
void podrt_trim(int maps)
{
	uintptr_t thread = (uintptr_t)&errno;
	uintptr_t stack = (uintptr_t)__builtin_frame_address(0);
	struct mapping m;
	char buf[512];
	int column = 0, at = 0; /* where in the line */

	/* From here on a call into libc is a call into the void. */
	m.start = m.end = 0;
	m.writable = m.name[0] = m.name[1] = 0;
	for (;;) {
		long n = raw_syscall(SYS_read, maps, (long)buf, sizeof(buf), 0);

		if (n <= 0)
			break;
		for (long i = 0; i < n; i++) {
			char c = buf[i];

			if (c == '\n') {
				drop(&m, stack, thread);
				m.start = m.end = 0;
				m.writable = m.name[0] = m.name[1] = 0;
				column = at = 0;
			} else if (column == 0 && c == '-') {
				column = 1;
			} else if (c == ' ' && column < 6) {
				/* The last column is padded: a run of blanks is one. */
				if (at > 0 || column == 1)
					column++;
				at = 0;
			} else if (column == 0) {
				m.start = m.start << 4 | (uintptr_t)hex(c);
			} else if (column == 1) {
				m.end = m.end << 4 | (uintptr_t)hex(c);
			} else {
				if (column == 2 && at == 1)
					m.writable = c;
				if (column == 6 && at < 2)
					m.name[at] = c;
				at++;
			}
		}
	}
	raw_syscall(SYS_close, maps, 0, 0, 0);
}

#else

void podrt_trim(int maps)
{
	raw_syscall(SYS_close, maps, 0, 0, 0);
}

#endif
