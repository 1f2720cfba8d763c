/*
 * The entry: run by libc before Go's runtime in every process of a binary that
 * links this package, so it looks at one variable and returns. Namespaces can
 * only be unshared and forked with safely while there is a single thread.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VARIABLE "_PODRT_SANDBOX"

int podrt_sandbox(int config_fd);

__attribute__((constructor)) static void podrt_constructor(void)
{
	const char *value = getenv(VARIABLE);
	char *end;
	long fd;

	if (value == NULL)
		return;
	/* A process of libcontainer's is never ours, whatever it inherited. */
	if (getenv("_LIBCONTAINER_INITPIPE") != NULL) {
		unsetenv(VARIABLE);
		return;
	}
	fd = strtol(value, &end, 10);
	if (end == value || *end != 0 || fd < 3 || fd > INT_MAX) {
		dprintf(STDERR_FILENO, "podrt: invalid %s=%s\n", VARIABLE, value);
		_exit(1);
	}
	/* The environment goes no further: this process never executes another. */
	_exit(podrt_sandbox((int)fd));
}
