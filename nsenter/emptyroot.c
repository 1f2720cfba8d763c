/*
 * A mount namespace of the pod init's own, with nothing in it.
 *
 * In the host's, /proc/1/root and /proc/1/ns/mnt would lead any container with
 * CAP_SYS_PTRACE in the initial user namespace to the host's files. A copy of
 * the host's would keep every mount of that moment alive. So it is a copy that
 * is swapped for an empty, read-only tmpfs and dropped as a whole.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"

#ifndef FSOPEN_CLOEXEC
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#define FSCONFIG_SET_STRING 1
#define FSCONFIG_CMD_CREATE 6
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 1
#define MOUNT_ATTR_NOSUID 2
#define MOUNT_ATTR_NODEV 4
#define MOUNT_ATTR_NOEXEC 8
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x00000004
#endif

/* fsopen(2), fsmount(2), Linux 5.2. */
static int empty_tmpfs(void)
{
	int mount = -1;
	int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0)
		return -1;
	if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0555", 0) == 0 &&
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
				     MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					     MOUNT_ATTR_NOEXEC);
	if (mount >= 0)
		close(fs);
	return mount;
}

int podrt_empty_root(struct failure *f)
{
	int root;

	if (unshare(CLONE_NEWNS) < 0)
		return podrt_fail(f, errno, "unshare", "mnt");
	/* Before anything is unmounted: else that would reach the host. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return podrt_fail(f, errno, "make mounts private in namespace", "mnt");
	root = empty_tmpfs();
	if (root < 0)
		return podrt_fail(f, errno, "make empty root of", "pod init");
	if (syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    fchdir(root) < 0)
		return podrt_fail(f, errno, "mount empty root of", "pod init");
	close(root);
	/* pivot_root(2): "." twice stacks the old root on the new one. */
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return podrt_fail(f, errno, "pivot root of", "pod init");
	if (umount2(".", MNT_DETACH) < 0)
		return podrt_fail(f, errno, "unmount old root of", "pod init");
	if (chdir("/") < 0)
		return podrt_fail(f, errno, "change directory of", "pod init");
	return 0;
}
