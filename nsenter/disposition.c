/*
 * A signal that is ignored stays so across execve(2): a container's command would
 * ignore what the caller of podrt does. Of all others Go's runtime sees to that,
 * by catching them; these it leaves as they are, the first two where they are
 * ignored (runtime/signal_unix.go). runc, too, catches them all, in a process
 * that goes on beside the start, and mostly has by then.
 */
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

__attribute__((constructor)) static void podrt_default_signals(void)
{
	static const int left[] = { SIGHUP, SIGINT, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU };
	size_t i;

	if (getenv("_LIBCONTAINER_INITPIPE") == NULL)
		return;
	for (i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		(void)signal(left[i], SIG_DFL);
}
