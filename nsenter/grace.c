/*
 * Who is about to move a process into a cgroup will wait for an RCU grace
 * period, 7 to 15 ms: the write to cgroup.procs takes cgroup_threadgroup_rwsem,
 * whose readers, all forks and exits, have to be slowed down first (percpu_down_
 * write, rcu_sync_enter). They stay so for as long again after the last writer,
 * and a write meanwhile takes 30 us. libcontainer moves each container's init
 * so. Here the wait begins with the program, beside all that comes before.
 *
 * What is written changes nothing: the id of a thread into the cgroup.threads of
 * the cgroup in which it is. Should somebody move this process in between, the
 * kernel refuses to take the thread to another domain (EOPNOTSUPP, cgroups(7)).
 * What cannot be read or opened is left: all goes on as it would without.
 *
 * The thread cannot be killed while it waits, and a process ends with its last
 * thread: a command that fails at once takes as long as the grace period.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#define CGROUP2_MAGIC 0x63677270 /* statfs(2) */
#define STACK (256 * 1024)	 /* bytes, of which three pages are used; above every PTHREAD_STACK_MIN */

/* openat2(2)'s argument, and what is asked of the way (Linux 5.6). */
struct how {
	uint64_t flags, mode, resolve;
};
#define NO_XDEV 0x01
#define NO_MAGICLINKS 0x02
#define NO_SYMLINKS 0x04
#define BENEATH 0x08

/*
 * read_own reads which cgroup of version 2 the thread is in, relative to the root
 * of the hierarchy, and appends file. The line is the one with number 0
 * (cgroups(7)).
 */
static int read_own(char *path, size_t size, const char *file)
{
	char table[PATH_MAX];
	char *line, *end;
	ssize_t n;
	int fd;

	fd = open("/proc/thread-self/cgroup", O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -1;
	n = read(fd, table, sizeof(table) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	table[n] = 0;
	for (line = table; line != NULL && strncmp(line, "0::/", 4) != 0;) {
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	if (line == NULL)
		return -1;
	line += strlen("0::/");
	end = strchr(line, '\n');
	if (end == NULL)
		return -1;
	*end = 0;
	n = snprintf(path, size, "%s%s%s", line, *line ? "/" : "", file);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

/*
 * open_own opens cgroup.threads of the thread's cgroup, -1 on any failure. Out of
 * the root of its cgroup namespace the path begins with "..", and leads to no
 * file that is not below the mount of cgroup2.
 */
static int open_own(void)
{
	struct how how = {O_WRONLY | O_CLOEXEC | O_NOCTTY, 0, NO_XDEV | NO_MAGICLINKS | NO_SYMLINKS | BENEATH};
	char path[PATH_MAX];
	struct statfs fs;
	int root, fd = -1;

	if (read_own(path, sizeof(path), "cgroup.threads") < 0)
		return -1;
	root = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	if (fstatfs(root, &fs) == 0 && fs.f_type == CGROUP2_MAGIC)
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	close(root);
	return fd;
}

static void *wait_grace_period(void *unused)
{
	char tid[16];
	int fd = open_own();

	(void)unused;
	if (fd < 0)
		return NULL;
	/* Not 0, which is the same thread: the kernel takes no lock for that. */
	snprintf(tid, sizeof(tid), "%ld", syscall(SYS_gettid));
	if (write(fd, tid, strlen(tid)) < 0) {
		/* The wait was all that it was for. */
	}
	close(fd);
	return NULL;
}

static int is_one_of(const char *word, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(word, *words) == 0)
			return 1;
	return 0;
}

/*
 * moves tells by the first verb on the command line whether a process will be
 * moved. A flag's value that is a verb's name is taken for it; that costs time.
 */
static int moves(int argc, char **argv)
{
	static const char *const move[] = {"create", "run", NULL};
	static const char *const pod_moves[] = {"monitor", "run", "start", NULL};
	static const char *const other[] = {
		"__complete", "checkpoint", "completion", "delete", "events", "exec", "features", "gc", "help", "kill", "list",
		"man", "network", "pause", "ps", "restore", "resume", "spec", "start", "state", "update", NULL,
	};
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "-help") == 0 || strcmp(argv[i], "--help") == 0)
			return 0;
	for (i = 1; i < argc; i++) {
		if (strcmp(argv[i], "pod") == 0)
			return i + 1 < argc && is_one_of(argv[i + 1], pod_moves);
		if (is_one_of(argv[i], move))
			return 1;
		if (is_one_of(argv[i], other))
			return 0;
	}
	return 0;
}

/*
 * Where one of the first three descriptors is closed, as Go's runtime has not
 * mended yet, a file that is opened here would be taken for the caller's.
 */
static int has_standard_streams(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return 0;
	return 1;
}

#ifdef __GLIBC__ /* which hands a constructor what main gets; musl does not */
__attribute__((constructor)) static void podrt_grace(int argc, char **argv)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;

	if (getenv("_LIBCONTAINER_INITPIPE") != NULL || getenv("_PODRT_SANDBOX") != NULL)
		return;
	if (!moves(argc, argv) || !has_standard_streams() || pthread_attr_init(&attr) != 0)
		return;
	/* The thread is not Go's, and takes no signal that is meant for Go. */
	sigfillset(&all);
	if (pthread_attr_setstacksize(&attr, STACK) == 0 &&
	    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
	    pthread_sigmask(SIG_SETMASK, &all, &before) == 0) {
		(void)pthread_create(&thread, &attr, wait_grace_period, NULL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attr);
}
#endif
