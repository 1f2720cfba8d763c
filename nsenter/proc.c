/*
 * procfs without trust in it. podrt may run where somebody else prepared
 * /proc: another file system there, or a mount over one of its files, must
 * be an error and never a file that root then writes to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sandbox.h"

enum { PROC_ROOT_INO = 1 };

/* openat2(2), Linux 5.6: path stays below dir, on its mount, by no magic link. */
int podrt_open_beneath(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	do
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd;
}

int podrt_open_proc(struct failure *f)
{
	struct statfs fs;
	struct stat st;
	int fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return podrt_fail(f, errno, "open", "/proc");
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return podrt_fail(f, errno, "stat", "/proc");
	/* A bind mount of a directory below procfs is procfs, too: not its root. */
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INO)
		return podrt_fail_detail(f, "check", "/proc", "not the root of a procfs");
	return fd;
}

int podrt_open_task(int proc, pid_t pid, struct failure *f)
{
	char name[16] = "self";
	int fd;

	if (pid != 0)
		snprintf(name, sizeof(name), "%d", pid);
	/* self is a plain link to the number, so it passes; when /proc belongs to
	 * another PID namespace it leads nowhere and is ENOENT. */
	fd = podrt_open_beneath(proc, name, O_PATH | O_DIRECTORY);
	if (fd < 0) {
		char path[32];

		snprintf(path, sizeof(path), "/proc/%s", name);
		return podrt_fail(f, errno, "open", path);
	}
	return fd;
}

/* Write text to a proc or cgroup file in one write(2), as they want it. */
int podrt_write_at(int dir, const char *path, const char *text)
{
	size_t len = strlen(text);
	int fd = podrt_open_beneath(dir, path, O_WRONLY | O_NOFOLLOW);
	ssize_t n;
	int err;

	if (fd < 0)
		return -1;
	n = write(fd, text, len);
	err = n < 0 ? errno : EIO;
	close(fd);
	if (n == (ssize_t)len)
		return 0;
	errno = err;
	return -1;
}

/* Field 22 of /proc/PID/stat, counted behind the name, which may hold anything. */
int podrt_start_time(int task, uint64_t *start)
{
	int fd = podrt_open_beneath(task, "stat", O_RDONLY | O_NOFOLLOW);
	char buf[1024], *p, *end;
	ssize_t n;
	int err;

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	err = n < 0 ? errno : EIO;
	close(fd);
	errno = err;
	if (n <= 0)
		return -1;
	buf[n] = 0;
	p = strrchr(buf, ')');
	if (p == NULL)
		return -1;
	for (int field = 2; field < 22; field++) {
		p = strchr(p + 1, ' ');
		if (p == NULL)
			return -1;
	}
	errno = 0;
	*start = strtoull(p + 1, &end, 10);
	if (errno == 0 && (end == p + 1 || *end != ' '))
		errno = EIO;
	return errno == 0 ? 0 : -1;
}
