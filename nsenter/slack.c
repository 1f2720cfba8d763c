/*
 * Go's runtime has a thread of its own that looks every 20 us whether another
 * one hangs in a system call, for as long as the program is busy (sysmon,
 * runtime/proc.go). libcontainer's init is busy for 10 ms, has one goroutine to
 * run, and none that could take a processor over: a tenth of a container's start
 * goes there, where all processors have work. With more slack for its timers
 * (PR_SET_TIMERSLACK, prctl(2), Linux 2.6.28) the thread sleeps until the next
 * tick. It inherits the slack of its creator, the main thread, which gets its own
 * back (slack.go) before anything else of Go runs, and with it the container.
 */
#include <stdlib.h>
#include <sys/prctl.h>

#define SLACK 10000000UL /* ns: no more than sysmon itself sleeps after idle times */

int podrt_slack; /* whether the main thread's slack is to be restored */

/*
 * Of an init libcontainer's constructor, which is linked before this one, has
 * forked off two more by now: a thread's default is what its creator had, and
 * must not become SLACK.
 */
__attribute__((constructor)) static void podrt_more_slack(void)
{
	if (getenv("_LIBCONTAINER_INITPIPE") != NULL)
		podrt_slack = prctl(PR_SET_TIMERSLACK, SLACK, 0, 0, 0) == 0;
}
