/* Making, entering and pinning namespaces. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sandbox.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif

/*
 * User first: it owns the others. A process that makes a PID or time namespace
 * stays outside; its children enter, hence the links.
 */
static const struct kind kinds[] = {
	{ CLONE_NEWUSER, "user", "user" },
	{ CLONE_NEWCGROUP, "cgroup", "cgroup" },
	{ CLONE_NEWIPC, "ipc", "ipc" },
	{ CLONE_NEWUTS, "uts", "uts" },
	{ CLONE_NEWNET, "net", "net" },
	{ CLONE_NEWTIME, "time", "time_for_children" },
	{ CLONE_NEWPID, "pid", "pid_for_children" },
};

const struct kind *podrt_kind(int i)
{
	return i >= 0 && (size_t)i < sizeof(kinds) / sizeof(kinds[0]) ? &kinds[i] : NULL;
}

int podrt_unshare(uint32_t flags, struct failure *f)
{
	int err;

	if (flags == 0 || unshare((int)flags) == 0)
		return 0;
	/* All or nothing, and the kernel does not say which it was. Asking for one
	 * after the other does; what succeeds now dies with this process. */
	err = errno;
	for (int i = 0; podrt_kind(i) != NULL; i++) {
		if ((flags & kinds[i].flag) != 0 && unshare((int)kinds[i].flag) < 0)
			return podrt_fail(f, errno, "unshare", kinds[i].name);
	}
	return podrt_fail(f, err, "unshare", "");
}

int podrt_open_links(int task, struct failure *f)
{
	int links = podrt_open_beneath(task, "ns", O_PATH | O_DIRECTORY);

	return links >= 0 ? links : podrt_fail(f, errno, "open", "/proc/PID/ns");
}

/* Join the namespaces that links lead to; not for the children's. */
int podrt_enter(int links, uint32_t flags, struct failure *f)
{
	for (int i = 0; podrt_kind(i) != NULL; i++) {
		int fd;

		if ((flags & kinds[i].flag) == 0)
			continue;
		fd = openat(links, kinds[i].link, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return podrt_fail(f, errno, "open namespace", kinds[i].name);
		/* The type makes a link that is not what it says an EINVAL. */
		if (setns(fd, (int)kinds[i].flag) < 0)
			return podrt_fail(f, errno, "enter namespace", kinds[i].name);
		close(fd);
	}
	return 0;
}

/*
 * Mount a namespace over its pin file, which exists and is ours
 * (pin.go). By open_tree(2) and move_mount(2), Linux 5.2: no path is walked
 * twice, and a link in place of the pin file is not followed.
 */
int podrt_pin(int links, const struct kind *k, int pin_dir, struct report *r, struct failure *f)
{
	struct statfs fs;
	struct stat st;
	int tree;

	tree = (int)syscall(SYS_open_tree, links, k->link, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return podrt_fail(f, errno, "open namespace", k->name);
	if (fstatfs(tree, &fs) < 0 || fstat(tree, &st) < 0)
		return podrt_fail(f, errno, "stat namespace", k->name);
	if (fs.f_type != NSFS_MAGIC)
		return podrt_fail_detail(f, "open namespace", k->name, "not a namespace");
	if (syscall(SYS_move_mount, tree, "", pin_dir, k->name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return podrt_fail(f, errno, "pin namespace", k->name);
	close(tree);
	podrt_report_pin(r, k->flag, st.st_dev, st.st_ino);
	return 0;
}
