/*
 * Go's runtime has a thread of its own that looks every 20 us whether another
 * one hangs in a system call, for as long as the program is busy (sysmon,
 * runtime/proc.go). libcontainer's init is busy for 10 ms, has one goroutine to
 * run, and none that could take a processor over: a tenth of a container's start
 * goes there, where all processors have work. With more slack for its timers
 * (PR_SET_TIMERSLACK, prctl(2), Linux 2.6.28) the thread sleeps until the next
 * tick. It inherits the slack of its creator, the main thread, which gets its own
 * back (slack.go) before libcontainer's Go begins, and with it the container.
 */
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SLACK 10000000UL /* ns: no more than sysmon itself sleeps after idle times */

int podrt_slack; /* whether the main thread's slack is to be restored */

/*
 * A process that is forked has its creator's slack as its default, to which the
 * main thread goes back: it must not become SLACK. Libcontainer's constructor
 * forks twice, and the last of the three processes, which goes on to Go, leads a
 * session. Where that constructor is linked after this one, as it is by another
 * order of imports, this is the first of them, which does not, and there is no
 * more slack.
 */
__attribute__((constructor)) static void podrt_more_slack(void)
{
	if (getenv("_LIBCONTAINER_INITPIPE") != NULL && getsid(0) == getpid())
		podrt_slack = prctl(PR_SET_TIMERSLACK, SLACK, 0, 0, 0) == 0;
}
