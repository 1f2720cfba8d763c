#include "floor.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"usage: floor start\n"
	"       floor up|down NSDIR CGROUP\n"
	"       floor run ROOTFS CGROUP NSDIR|- SECCOMP-INSNS PROG ARGS...\n"
	"       floor exec PID CGROUP PROG ARGS...\n"
	"       floor pod NSDIR CGROUP ROOTFS N WORKERS PROG ARGS...\n"
	"       floor kill NSDIR CGROUP\n"
	"       floor enter clone|write CGROUP\n";

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void cmd_run(char **argv)
{
	struct container c = { .root = argv[0], .filter = (unsigned int)atoi(argv[3]), .argv = argv + 4 };
	int cgroup = make_cgroup(argv[1]);

	if (strcmp(argv[2], "-") != 0)
		c.nsdir = argv[2];
	allow_devices(argv[1]);
	reap(start_container(&c, cgroup));
	remove_cgroup(argv[1]);
}

static void cmd_exec(char **argv)
{
	int cgroup = open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
	int pidfd = (int)syscall(SYS_pidfd_open, atoi(argv[0]), 0);
	pid_t pid;

	if (cgroup < 0 || pidfd < 0)
		die(argv[1]);
	if (setns(pidfd, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0)
		die("setns");
	pid = spawn(0, cgroup);
	if (pid == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		drop_rights();
		execv(argv[2], argv + 2);
		die(argv[2]);
	}
	reap(pid);
}

/* Makes every w-th container and waits until each has executed its program. */
static void work(const struct container *c, const char *cgroup, int w, int n, int workers)
{
	char leaf[4096], b;

	for (int i = w; i < n; i += workers) {
		int done[2], fd;

		snprintf(leaf, sizeof(leaf), "%s/c%d", cgroup, i);
		fd = make_cgroup(leaf);
		allow_devices(leaf);
		if (pipe2(done, O_CLOEXEC) < 0)
			die("pipe");
		start_container(c, fd);
		close(done[1]);
		if (read(done[0], &b, 1) != 0)
			die("wait for execve");
		close(done[0]);
		close(fd);
	}
}

static void cmd_pod(char **argv)
{
	struct container c = { .nsdir = argv[0], .root = argv[2], .argv = argv + 5 };
	int n = atoi(argv[3]), workers = atoi(argv[4]);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t pids[64];

	if (workers < 1 || workers > (int)LEN(pids) || null < 0)
		die("workers");
	close(sandbox_up(argv[0], argv[1]));
	for (int w = 0; w < workers; w++) {
		pids[w] = spawn(0, -1);
		if (pids[w] == 0) {
			/* Containers outlive the floor: its output is not theirs. */
			if (dup2(null, 0) < 0 || dup2(null, 1) < 0)
				die("dup2");
			work(&c, argv[1], w, n, workers);
			_exit(0);
		}
	}
	for (int w = 0; w < workers; w++)
		reap(pids[w]);
}

/* Reads the first process of a leaf; its init, as far as the floor goes. */
static int leaf_pidfd(const char *leaf)
{
	char path[4200], buf[32];
	int fd = open(join(path, sizeof(path), leaf, "cgroup.procs"), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	buf[n] = 0;
	return (int)syscall(SYS_pidfd_open, atoi(buf), 0);
}

static void cmd_kill(char **argv)
{
	char path[4096];
	struct pollfd fds[256];
	int n = 0, fd;

	for (; n < (int)LEN(fds); n++) {
		snprintf(path, sizeof(path), "%s/c%d", argv[1], n);
		fds[n].fd = leaf_pidfd(path);
		fds[n].events = POLLIN;
		if (fds[n].fd < 0)
			break;
	}
	fd = open(join(path, sizeof(path), argv[1], "cgroup.kill"), O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		die(path);
	unpin(argv[0]);
	for (int i = 0; i < n; i++) {
		if (poll(&fds[i], 1, -1) < 0)
			die("poll");
		snprintf(path, sizeof(path), "%s/c%d", argv[1], i);
		remove_cgroup(path);
	}
	remove_cgroup(argv[1]);
}

/*
 * Puts a process into a new cgroup: born there, or moved there by its parent
 * while it waits, which is how libcontainer does it with a container's init.
 */
static void cmd_enter(char **argv)
{
	int born = strcmp(argv[0], "clone") == 0, gate[2], cgroup, fd;
	char path[4096], pid_text[32], b;
	pid_t pid;

	cgroup = make_cgroup(argv[1]);
	if (pipe2(gate, O_CLOEXEC) < 0)
		die("pipe");
	pid = spawn(0, born ? cgroup : -1);
	if (pid == 0) {
		close(gate[1]);
		_exit(read(gate[0], &b, 1) != 0);
	}
	if (!born) {
		fd = open(join(path, sizeof(path), argv[1], "cgroup.procs"), O_WRONLY | O_CLOEXEC);
		snprintf(pid_text, sizeof(pid_text), "%d", pid);
		if (fd < 0 || write(fd, pid_text, strlen(pid_text)) < 0)
			die(path);
		close(fd);
	}
	close(gate[1]);
	reap(pid);
	close(cgroup);
	remove_cgroup(argv[1]);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
	} commands[] = { { "start", 0 }, { "up", 2 }, { "down", 2 }, { "run", 5 }, { "exec", 3 }, { "pod", 6 }, { "kill", 2 }, { "enter", 2 } };
	size_t cmd = 0;
	long long start = now();

	while (cmd < LEN(commands) && (argc < 2 || strcmp(argv[1], commands[cmd].name) != 0))
		cmd++;
	if (cmd == LEN(commands) || argc - 2 < commands[cmd].args) {
		fputs(usage, stderr);
		return 2;
	}
	argv += 2;
	switch (cmd) {
	case 1:
		close(sandbox_up(argv[0], argv[1]));
		break;
	case 2:
		unpin(argv[0]);
		remove_cgroup(argv[1]);
		break;
	case 3:
		cmd_run(argv);
		break;
	case 4:
		cmd_exec(argv);
		break;
	case 5:
		cmd_pod(argv);
		break;
	case 6:
		cmd_kill(argv);
		break;
	case 7:
		cmd_enter(argv);
		break;
	}
	dprintf(1, "%lld\n", now() - start);
	return 0;
}
