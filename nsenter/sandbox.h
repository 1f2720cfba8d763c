/*
 * What the parts of the sandbox process share. The process runs before Go's
 * runtime, single-threaded, from constructor.c, and never returns into it.
 *
 * It allocates nothing: the config stays in its mapping, everything else is
 * on the stack. That is for the pod init, which is forked from it and keeps
 * whatever memory was touched here.
 */
#ifndef PODRT_NSENTER_SANDBOX_H
#define PODRT_NSENTER_SANDBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The config, as written by encode.go. All numbers are in host byte order, and
 * each string is NUL-terminated with no other NUL in it.
 *
 *   header: u32 magic, u32 bytes in all (header included), s32 report fd
 *   then records: u32 type, u32 bytes of payload, payload
 */
enum {
	PODRT_CONFIG_MAGIC = 0x31545250,
	PODRT_CONFIG_MAX = 4 << 20, /* bytes */
	PODRT_CONFIG_HEADER = 12,
	PODRT_RECORD_HEADER = 8,
};

enum {
	PODRT_RECORD_FLAGS = 1,	   /* u32: the CLONE_NEW* of the namespaces to make */
	PODRT_RECORD_PIN_DIR,	   /* s32: descriptor of the directory with the pin files */
	PODRT_RECORD_INIT_CGROUP,  /* s32: descriptor of the pod init's cgroup */
	PODRT_RECORD_OOM_SCORE,	   /* s32: oom_score_adj of the pod init */
	PODRT_RECORD_HOSTNAME,	   /* string */
	PODRT_RECORD_DOMAINNAME,   /* string */
	PODRT_RECORD_UID_MAP,	   /* string: the text for /proc/PID/uid_map */
	PODRT_RECORD_GID_MAP,	   /* string */
	PODRT_RECORD_TIME_OFFSETS, /* string: the text for /proc/PID/timens_offsets */
	PODRT_RECORD_SYSCTL,	   /* strings: path below /proc/sys, value, name for errors */
};

/*
 * The report, as read by report.go: the same records, without a header. An
 * error ends it, or a DONE; without either the process was killed.
 */
enum {
	PODRT_REPORT_PIN = 1, /* u32 CLONE_NEW* of the kind, u32 0, u64 dev, u64 ino */
	PODRT_REPORT_INIT,    /* u32 pid, u32 0, u64 start time (clock ticks, proc(5) stat 22) */
	PODRT_REPORT_ERROR,   /* s32 errno (0 = see detail), strings: step, object, detail */
	PODRT_REPORT_DONE,    /* nothing */
};

struct config {
	int report_fd;
	int pin_dir_fd;
	int init_cgroup_fd; /* -1: the pod init stays in the sandbox process's cgroup */
	uint32_t flags;
	int has_oom_score;
	int32_t oom_score;
	const char *hostname, *domainname; /* NULL: leave as inherited */
	const char *uid_map, *gid_map;
	const char *time_offsets;
	const char *records; /* all of them, checked; podrt_next_sysctl walks them */
	size_t records_len;
};

/* A setting below /proc/sys. */
struct sysctl {
	const char *path;  /* relative to /proc/sys, slashes */
	const char *value;
	const char *name; /* as the user wrote it */
};

/*
 * What went wrong, in the words the user will read: `step "object": detail`,
 * or the errno's text where there is no detail. Sent as it is between the
 * processes of one sandbox.
 */
struct failure {
	int err;
	char step[48];
	char object[256];
	char detail[640];
};

/* Fill f and return -1, for `return podrt_fail(...)`. err may be 0. */
int podrt_fail(struct failure *f, int err, const char *step, const char *object);
int podrt_fail_detail(struct failure *f, const char *step, const char *object,
		      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* config.c */
int podrt_read_config(int fd, struct config *cfg, struct failure *f);
/* Returns 1 and fills s, or 0 at the end. Start with *pos = 0. */
int podrt_next_sysctl(const struct config *cfg, size_t *pos, struct sysctl *s);

/* report.c */
struct report {
	size_t len;
	char buf[1024];
};
void podrt_report_pin(struct report *r, uint32_t kind, uint64_t dev, uint64_t ino);
void podrt_report_init(struct report *r, pid_t pid, uint64_t start);
int podrt_report_done(struct report *r, int fd);
void podrt_report_failure(int fd, const struct failure *f);

/* proc.c: procfs without trust in what is mounted over it. */
int podrt_open_proc(struct failure *f);
int podrt_open_beneath(int dir, const char *path, int flags);
int podrt_open_task(int proc, pid_t pid, struct failure *f); /* pid 0: this process */
int podrt_write_at(int dir, const char *path, const char *text);
int podrt_start_time(int task, uint64_t *start);

/* channel.c: one message at a time between the processes of a sandbox. */
struct message {
	pid_t pid;	 /* of the pod init, where one was forked */
	int outside;	 /* the pod init could not be born in its cgroup */
	struct failure failure; /* step[0] == 0: none */
};
int podrt_channel(int fd[2], struct failure *f);
int podrt_send(int fd, const struct message *m);
int podrt_receive(int fd, const char *who, struct message *m, struct failure *f);
int podrt_go(int fd);	    /* send the one byte that lets the other side go on */
int podrt_wait_go(int fd);  /* 0, or -1 when the other side is gone */
int podrt_closed(int *fd);  /* close once; returns -1 for assignment */

/* namespaces.c */
struct kind {
	uint32_t flag;	  /* CLONE_NEW* */
	const char *name; /* of the kind and of its pin file */
	const char *link; /* below /proc/PID/ns, of the process that made it */
};
const struct kind *podrt_kind(int i); /* NULL after the last */
int podrt_unshare(uint32_t flags, struct failure *f);
int podrt_open_links(int task, struct failure *f); /* its ns directory */
int podrt_enter(int links, uint32_t flags, struct failure *f);
int podrt_pin(int links, const struct kind *k, int pin_dir, struct report *r, struct failure *f);

/* userns.c: the process inside the pod's user namespace. */
struct member {
	pid_t pid;
	int channel;
};
int podrt_member_start(const struct config *cfg, int init_channel[2], int proc,
		       struct member *m, struct failure *f);
int podrt_become_root(struct failure *f);

/* names.c, sysctl.c, loopback.c: inside the new namespaces. */
int podrt_set_names(const struct config *cfg, struct failure *f);
int podrt_set_sysctls(const struct config *cfg, int proc, struct failure *f);
int podrt_loopback_up(struct failure *f);

/* spawn.c, init.c: PID 1 of the pod's PID namespace. */
int podrt_init_spawn(const struct config *cfg, int channel[2], int proc,
		     struct message *m, struct failure *f);
void podrt_init(const struct config *cfg, int channel, int proc) __attribute__((noreturn));

int podrt_empty_root(struct failure *f);     /* emptyroot.c */
int podrt_install_filter(struct failure *f); /* filter.c */

/* trim.c, initloop.c: from podrt_trim on nothing of libc may be called. */
void podrt_trim(int maps);
void podrt_init_loop(int channel, const struct message *ready) __attribute__((noreturn));

#endif
