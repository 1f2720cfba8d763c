/*
 * The floor: what the kernel alone takes for what a runtime does. One static
 * program that makes the bare system calls, with no state, no checks and no
 * way back. Nothing here is a container runtime.
 *
 * It prints the nanoseconds that its work took, without its own start and end.
 * Needs root, cgroup v2 and Linux 5.14 (cgroup.kill); x86-64.
 */
#ifndef FLOOR_H
#define FLOOR_H

#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The namespaces that a pod pins: net, ipc, uts. */
#define KINDS 3
extern const char *const kinds[KINDS];

/* kernel.c */
void die(const char *what) __attribute__((noreturn));
const char *join(char *buf, size_t size, const char *dir, const char *name);
pid_t spawn(uint64_t flags, int cgroup);
void reap(pid_t pid);
int make_cgroup(const char *path);
void remove_cgroup(const char *path);
void lo_up(void);

/* sandbox.c */
int sandbox_up(const char *nsdir, const char *cgroup);
void unpin(const char *nsdir);

/* container.c */
/* One container. */
struct container {
	const char *root;
	const char *nsdir;   /* pins to join; NULL: own namespaces */
	unsigned int filter; /* instructions of the seccomp filter; 0: none */
	char **argv;
};

pid_t start_container(const struct container *c, int cgroup);
void drop_rights(void);

/* device.c */
void allow_devices(const char *cgroup);

#endif
