/*
 * Go's threads are libc's in a program with cgo, and each new one frees what its
 * creator allocated: enough for glibc to give it an arena of 64 MB address space
 * of its own, by four system calls and two page faults. Nothing here allocates
 * in C side by side: one arena does (mallopt(3)). Other libcs have none to spare.
 */
#include <malloc.h>

#ifdef M_ARENA_MAX
__attribute__((constructor)) static void podrt_one_arena(void)
{
	mallopt(M_ARENA_MAX, 1);
}
#endif
