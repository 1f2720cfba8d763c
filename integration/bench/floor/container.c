#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct mount_line {
	const char *type, *target, *data;
	unsigned long flags;
};

/* The mounts of the default spec, in its order. */
static const struct mount_line mounts[] = {
	{ "proc", "proc", NULL, 0 },
	{ "tmpfs", "dev", "mode=755,size=65536k", MS_NOSUID | MS_STRICTATIME },
	{ "devpts", "dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC },
	{ "tmpfs", "dev/shm", "mode=1777,size=65536k", MS_NOSUID | MS_NOEXEC | MS_NODEV },
	{ "mqueue", "dev/mqueue", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV },
	{ "sysfs", "sys", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY },
	{ "cgroup2", "sys/fs/cgroup", NULL, MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME | MS_RDONLY },
};

static const struct {
	const char *name;
	unsigned int major, minor;
} nodes[] = {
	{ "dev/null", 1, 3 }, { "dev/random", 1, 8 }, { "dev/full", 1, 7 },
	{ "dev/tty", 5, 0 }, { "dev/zero", 1, 5 }, { "dev/urandom", 1, 9 },
};

static const char *const links[][2] = {
	{ "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" },
	{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" },
	{ "pts/ptmx", "dev/ptmx" },
};

static const char *const masked[] = {
	"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
	"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
};

static const char *const readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

/* What the default spec leaves of root: CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE. */
#define KEEP (1ULL << 5 | 1ULL << 10 | 1ULL << 29)

static void make_root(const char *root)
{
	if (mount("", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		die("make / a slave");
	if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(root) < 0)
		die(root);
	for (size_t i = 0; i < LEN(mounts); i++) {
		const struct mount_line *m = &mounts[i];

		if (mkdir(m->target, 0755) < 0 && errno != EEXIST && errno != EPERM)
			die(m->target);
		if (mount(m->type, m->target, m->type, m->flags, m->data) < 0)
			die(m->target);
	}
	for (size_t i = 0; i < LEN(nodes); i++)
		if (mknod(nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
			die(nodes[i].name);
	for (size_t i = 0; i < LEN(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0)
			die(links[i][1]);
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		die("pivot_root");
	if (mount("", ".", NULL, MS_REC | MS_SLAVE, NULL) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		die("leave the old root");
	if (mount("", "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		die("make / read-only");
	for (size_t i = 0; i < LEN(readonly); i++) {
		if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) < 0) {
			if (errno == ENOENT)
				continue;
			die(readonly[i]);
		}
		if (mount("", readonly[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
			die(readonly[i]);
	}
	for (size_t i = 0; i < LEN(masked); i++) {
		if (mount("/dev/null", masked[i], NULL, MS_BIND, NULL) == 0 || errno == ENOENT)
			continue;
		if (errno != ENOTDIR || mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1") < 0)
			die(masked[i]);
	}
}

/* Allows the system calls 0 to n/2, one comparison each, as libseccomp does. */
static void filter(unsigned int n)
{
	struct sock_filter *f = calloc(n + 8, sizeof(*f));
	struct sock_fprog prog = { .filter = f };
	unsigned short i = 0;

	f[i++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned int nr = 0; nr < n / 2; nr++) {
		f[i++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1);
		f[i++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	f[i++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	prog.len = i;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		die("seccomp");
}

void drop_rights(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	for (unsigned long c = 0; c <= CAP_LAST_CAP; c++)
		if (!(KEEP >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			die("drop capability");
	if (syscall(SYS_setgroups, 0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		die("set user");
	memset(d, 0, sizeof(d));
	d[0].effective = d[0].permitted = (uint32_t)KEEP;
	if (syscall(SYS_capset, &h, d) < 0)
		die("capset");
}

static void run_container(const struct container *c)
{
	static const int flags[] = { CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS };
	struct rlimit files = { 1024, 1024 };
	char pin[4096];

	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "_ses.floor") < 0)
		die("session keyring");
	if (c->nsdir) {
		for (size_t i = 0; i < LEN(kinds); i++) {
			int fd = open(join(pin, sizeof(pin), c->nsdir, kinds[i]), O_RDONLY | O_CLOEXEC);

			if (fd < 0 || setns(fd, flags[i]) < 0)
				die(pin);
			close(fd);
		}
	} else {
		lo_up();
		if (sethostname("floor", 5) < 0)
			die("sethostname");
	}
	/* Not with clone3: its root would be the parent's cgroup. */
	if (unshare(CLONE_NEWCGROUP) < 0)
		die("unshare");
	umask(0);
	make_root(c->root);
	umask(022);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("setrlimit");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	drop_rights();
	if (c->filter)
		filter(c->filter);
	execv(c->argv[0], c->argv);
	die(c->argv[0]);
}

pid_t start_container(const struct container *c, int cgroup)
{
	uint64_t flags = CLONE_NEWNS | CLONE_NEWPID;
	pid_t pid;

	if (!c->nsdir)
		flags |= CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	pid = spawn(flags, cgroup);
	if (pid == 0)
		run_container(c);
	return pid;
}
