#include "floor.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const kinds[] = { "net", "ipc", "uts" };

/* Makes the namespaces, pins them, and returns the pod's cgroup. */
int sandbox_up(const char *nsdir, const char *cgroup)
{
	char pin[4096], ns[64];
	int fd = make_cgroup(cgroup);
	pid_t pid;

	if (mkdir(nsdir, 0700) < 0)
		die(nsdir);
	pid = spawn(0, fd);
	if (pid > 0) {
		reap(pid);
		return fd;
	}
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		die("unshare");
	if (sethostname("floor", 5) < 0)
		die("sethostname");
	lo_up();
	for (size_t i = 0; i < LEN(kinds); i++) {
		int pinfd = open(join(pin, sizeof(pin), nsdir, kinds[i]), O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (pinfd < 0 || mount(join(ns, sizeof(ns), "/proc/self/ns", kinds[i]), pin, NULL, MS_BIND, NULL) < 0)
			die(pin);
		close(pinfd);
	}
	_exit(0);
}

void unpin(const char *nsdir)
{
	char pin[4096];

	for (size_t i = 0; i < LEN(kinds); i++) {
		if (umount2(join(pin, sizeof(pin), nsdir, kinds[i]), MNT_DETACH) < 0 || unlink(pin) < 0)
			die(pin);
	}
	if (rmdir(nsdir) < 0)
		die(nsdir);
}
