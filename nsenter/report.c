/* Failures, and the report to the Go side. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"

int podrt_fail(struct failure *f, int err, const char *step, const char *object)
{
	f->err = err;
	snprintf(f->step, sizeof(f->step), "%s", step);
	snprintf(f->object, sizeof(f->object), "%s", object);
	f->detail[0] = 0;
	return -1;
}

int podrt_fail_detail(struct failure *f, const char *step, const char *object,
		      const char *format, ...)
{
	va_list args;

	podrt_fail(f, 0, step, object);
	va_start(args, format);
	vsnprintf(f->detail, sizeof(f->detail), format, args);
	va_end(args);
	return -1;
}

/*
 * The report's size is bounded by its records: seven pins of 32 bytes, an init
 * of 24, a DONE of 8. So what does not fit is a bug, and ends without a DONE.
 */
static void append(struct report *r, const void *data, size_t len)
{
	if (len > sizeof(r->buf) - r->len)
		_exit(70);
	memcpy(r->buf + r->len, data, len);
	r->len += len;
}

static void append_header(struct report *r, uint32_t type, uint32_t len)
{
	uint32_t header[2] = { type, len };

	append(r, header, sizeof(header));
}

static int flush(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

void podrt_report_pin(struct report *r, uint32_t kind, uint64_t dev, uint64_t ino)
{
	uint32_t head[2] = { kind, 0 };
	uint64_t id[2] = { dev, ino };

	append_header(r, PODRT_REPORT_PIN, sizeof(head) + sizeof(id));
	append(r, head, sizeof(head));
	append(r, id, sizeof(id));
}

void podrt_report_init(struct report *r, pid_t pid, uint64_t start)
{
	uint32_t head[2] = { (uint32_t)pid, 0 };

	append_header(r, PODRT_REPORT_INIT, sizeof(head) + sizeof(start));
	append(r, head, sizeof(head));
	append(r, &start, sizeof(start));
}

int podrt_report_done(struct report *r, int fd)
{
	append_header(r, PODRT_REPORT_DONE, 0);
	return flush(fd, r->buf, r->len);
}

void podrt_report_failure(int fd, const struct failure *f)
{
	struct report r = { .len = 0 };
	int32_t err = f->err;
	size_t step = strlen(f->step) + 1;
	size_t object = strlen(f->object) + 1;
	size_t detail = strlen(f->detail) + 1;

	append_header(&r, PODRT_REPORT_ERROR, (uint32_t)(sizeof(err) + step + object + detail));
	append(&r, &err, sizeof(err));
	append(&r, f->step, step);
	append(&r, f->object, object);
	append(&r, f->detail, detail);
	/* Nobody is left to tell when this fails; the exit status still says so. */
	(void)flush(fd, r.buf, r.len);
}
