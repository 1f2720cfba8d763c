/*
 * Debian's crun raises RLIMIT_MEMLOCK for its device program, which kernels
 * since 5.11 do not ask for, and gives up where it may not: on a host that
 * denies CAP_SYS_RESOURCE. With this library preloaded it goes on.
 *
 * With EXEC defined, a program that executes it so, for podman, which gives
 * the runtime an environment of its own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef EXEC
int main(int argc, char **argv)
{
	(void)argc;
	setenv("LD_PRELOAD", PRELOAD, 1);
	execv(EXEC, argv);
	perror(EXEC);
	return 127;
}
#else
int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
	if (prlimit(0, resource, limit, NULL) == 0)
		return 0;
	return resource == RLIMIT_MEMLOCK && errno == EPERM ? 0 : -1;
}
#endif
