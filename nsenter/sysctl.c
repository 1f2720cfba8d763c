/*
 * Settings below /proc/sys. Opened inside the new namespaces: /proc/sys/net,
 * kernel.shm* and fs.mqueue.* show those of the process that looks.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"

/* The kernel takes at most a page less one byte; what it gives back is as long. */
enum { VALUE_MAX = 4096, TOKEN_MAX = 64 };

/* One setting, opened and written with the rights of the moment. */
static int write_value(int sys, const struct sysctl *s, ssize_t *n)
{
	int err, fd = podrt_open_beneath(sys, s->path, O_WRONLY | O_NOFOLLOW);

	if (fd < 0)
		return -1;
	*n = write(fd, s->value, strlen(s->value));
	err = errno;
	close(fd);
	errno = err;
	return *n < 0 ? -1 : 0;
}

/*
 * The settings of an IPC namespace may be written by the host's root up to
 * Linux 6.8, and since 6.9 by root of the user namespace that owns it, whatever
 * the capabilities. The file's owner tells. The kernel looks again when writing.
 */
static int write_as_owner(int sys, const struct sysctl *s, ssize_t *n)
{
	int err, ret, fd = podrt_open_beneath(sys, s->path, O_PATH | O_NOFOLLOW);
	uid_t self = geteuid();
	struct stat st;

	if (fd < 0)
		return -1;
	ret = fstat(fd, &st);
	close(fd);
	if (ret < 0 || st.st_uid == self) {
		errno = EACCES;
		return -1;
	}
	/* The raw call: libc's would look for other threads. Real and saved uid
	 * stay, so nobody of that uid may touch this process. */
	if (syscall(SYS_setresuid, -1, st.st_uid, -1) < 0)
		return -1;
	ret = write_value(sys, s, n);
	err = errno;
	if (syscall(SYS_setresuid, -1, self, -1) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -1;
	errno = err;
	return ret;
}

static int write_sysctl(int sys, const struct sysctl *s, struct failure *f)
{
	size_t len = strlen(s->value);
	ssize_t n = 0;

	if (write_value(sys, s, &n) < 0 &&
	    ((errno != EACCES && errno != EPERM) || write_as_owner(sys, s, &n) < 0))
		return podrt_fail(f, errno, "write sysctl", s->name);
	if ((size_t)n != len)
		return podrt_fail_detail(f, "write sysctl", s->name,
					 "the kernel took %zd of the %zu bytes of \"%.200s\"",
					 n, len, s->value);
	return 0;
}

/* The next token of *p, or NULL; its length in *len. */
static const char *token(const char **p, size_t *len)
{
	const char *start;

	while (isspace((unsigned char)**p))
		(*p)++;
	start = *p;
	while (**p != 0 && !isspace((unsigned char)**p))
		(*p)++;
	*len = (size_t)(*p - start);
	return *len == 0 ? NULL : start;
}

/* A whole token as a number, with the kernel's prefixes: 0x and 0. */
static int number(const char *s, size_t len, int *negative, unsigned long long *v)
{
	char buf[TOKEN_MAX], *end;

	*negative = len > 0 && s[0] == '-';
	if (*negative || (len > 0 && s[0] == '+')) {
		s++;
		len--;
	}
	/* strtoull would skip blanks and take a second sign. */
	if (len == 0 || len >= sizeof(buf) || !isdigit((unsigned char)s[0]))
		return 0;
	memcpy(buf, s, len);
	buf[len] = 0;
	errno = 0;
	*v = strtoull(buf, &end, 0);
	return errno == 0 && *end == 0;
}

/* Equal but for blanks and the spelling of numbers. */
static int same_value(const char *a, const char *b)
{
	for (;;) {
		size_t alen, blen;
		const char *at = token(&a, &alen), *bt = token(&b, &blen);
		unsigned long long av, bv;
		int aneg, bneg;

		if (at == NULL || bt == NULL)
			return at == bt;
		if (alen == blen && memcmp(at, bt, alen) == 0)
			continue;
		if (!number(at, alen, &aneg, &av) || !number(bt, blen, &bneg, &bv) ||
		    av != bv || (aneg != bneg && av != 0))
			return 0;
	}
}

static int verify_sysctl(int sys, const struct sysctl *s, struct failure *f)
{
	char got[VALUE_MAX + 1];
	size_t len = 0;
	int fd;

	fd = podrt_open_beneath(sys, s->path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0) {
		/* Some are only triggers, like net.ipv4.route.flush: no reading. */
		if (errno == EACCES)
			return 0;
		return podrt_fail(f, errno, "read back sysctl", s->name);
	}
	while (len < VALUE_MAX) {
		ssize_t n = read(fd, got + len, VALUE_MAX - len);

		if (n < 0) {
			int err = errno;

			close(fd);
			return podrt_fail(f, err, "read back sysctl", s->name);
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	got[len] = 0;
	if (same_value(s->value, got))
		return 0;
	while (len > 0 && isspace((unsigned char)got[len - 1]))
		got[--len] = 0;
	return podrt_fail_detail(f, "read back sysctl", s->name,
				 "wanted \"%.200s\", got \"%.200s\"", s->value, got);
}

/*
 * Write all, in the config's order, then read all: some settings change others
 * (net.ipv4.ip_forward resets conf.all), and the last word is what counts.
 */
int podrt_set_sysctls(const struct config *cfg, int proc, struct failure *f)
{
	struct sysctl s;
	size_t pos = 0;
	int sys;

	if (!podrt_next_sysctl(cfg, &pos, &s))
		return 0;
	sys = podrt_open_beneath(proc, "sys", O_PATH | O_DIRECTORY | O_NOFOLLOW);
	if (sys < 0)
		return podrt_fail(f, errno, "open", "/proc/sys");
	for (pos = 0; podrt_next_sysctl(cfg, &pos, &s);) {
		if (write_sysctl(sys, &s, f) < 0)
			return -1;
	}
	for (pos = 0; podrt_next_sysctl(cfg, &pos, &s);) {
		if (verify_sysctl(sys, &s, f) < 0)
			return -1;
	}
	close(sys);
	return 0;
}
