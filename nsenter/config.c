/*
 * Reading the config. The sender is podrt itself, but the process runs as
 * root before anything else does: every length is checked all the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "sandbox.h"

static int malformed(struct failure *f, const char *what)
{
	return podrt_fail_detail(f, "read sandbox config", "", "%s", what);
}

static uint32_t get_u32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The payload is exactly n strings, none with a NUL of its own. */
static int is_strings(const char *payload, uint32_t len, int n)
{
	for (; n > 0; n--) {
		const char *end = memchr(payload, 0, len);

		if (end == NULL)
			return 0;
		len -= (uint32_t)(end + 1 - payload);
		payload = end + 1;
	}
	return len == 0;
}

static int apply(struct config *cfg, uint32_t type, const char *payload, uint32_t len)
{
	const char **string = NULL;
	int32_t *number = NULL;

	switch (type) {
	case PODRT_RECORD_FLAGS:
		number = (int32_t *)&cfg->flags;
		break;
	case PODRT_RECORD_PIN_DIR:
		number = &cfg->pin_dir_fd;
		break;
	case PODRT_RECORD_INIT_CGROUP:
		number = &cfg->init_cgroup_fd;
		break;
	case PODRT_RECORD_OOM_SCORE:
		cfg->has_oom_score = 1;
		number = &cfg->oom_score;
		break;
	case PODRT_RECORD_HOSTNAME:
		string = &cfg->hostname;
		break;
	case PODRT_RECORD_DOMAINNAME:
		string = &cfg->domainname;
		break;
	case PODRT_RECORD_UID_MAP:
		string = &cfg->uid_map;
		break;
	case PODRT_RECORD_GID_MAP:
		string = &cfg->gid_map;
		break;
	case PODRT_RECORD_TIME_OFFSETS:
		string = &cfg->time_offsets;
		break;
	case PODRT_RECORD_SYSCTL:
		return is_strings(payload, len, 3) ? 0 : -1;
	default:
		/* A setting that is not understood must not be left out. */
		return -1;
	}
	if (number != NULL) {
		if (len != sizeof(*number))
			return -1;
		memcpy(number, payload, sizeof(*number));
	} else {
		if (!is_strings(payload, len, 1))
			return -1;
		*string = payload;
	}
	return 0;
}

/* One record at *pos: its type, payload and length; 0 when it does not fit. */
static int record(const struct config *cfg, size_t *pos, uint32_t *type,
		  const char **payload, uint32_t *len)
{
	size_t left = cfg->records_len - *pos;
	const char *p = cfg->records + *pos;

	if (left < PODRT_RECORD_HEADER)
		return 0;
	*type = get_u32(p);
	*len = get_u32(p + 4);
	if (*len > left - PODRT_RECORD_HEADER)
		return 0;
	*payload = p + PODRT_RECORD_HEADER;
	*pos += PODRT_RECORD_HEADER + *len;
	return 1;
}

int podrt_read_config(int fd, struct config *cfg, struct failure *f)
{
	struct stat st;
	const char *map;
	size_t pos = 0;

	memset(cfg, 0, sizeof(*cfg));
	cfg->report_fd = cfg->pin_dir_fd = cfg->init_cgroup_fd = -1;

	if (fstat(fd, &st) < 0)
		return podrt_fail(f, errno, "read sandbox config", "");
	if (!S_ISREG(st.st_mode) || st.st_size < PODRT_CONFIG_HEADER ||
	    st.st_size > PODRT_CONFIG_MAX)
		return malformed(f, "not a config");
	/* Mapped for as long as the process lives: its strings are used in place. */
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return podrt_fail(f, errno, "read sandbox config", "");
	if (get_u32(map) != PODRT_CONFIG_MAGIC)
		return malformed(f, "not a config");
	if (get_u32(map + 4) != (uint64_t)st.st_size)
		return malformed(f, "length differs from its header");
	cfg->report_fd = (int32_t)get_u32(map + 8);
	cfg->records = map + PODRT_CONFIG_HEADER;
	cfg->records_len = (size_t)st.st_size - PODRT_CONFIG_HEADER;

	while (pos < cfg->records_len) {
		const char *payload;
		uint32_t type, len;

		if (!record(cfg, &pos, &type, &payload, &len))
			return malformed(f, "a record exceeds the config");
		if (apply(cfg, type, payload, len) < 0)
			return podrt_fail_detail(f, "read sandbox config", "",
						 "record of type %u is malformed", type);
	}
	if (cfg->pin_dir_fd < 0)
		return malformed(f, "no pin directory");
	return 0;
}

int podrt_next_sysctl(const struct config *cfg, size_t *pos, struct sysctl *s)
{
	const char *payload;
	uint32_t type, len;

	while (record(cfg, pos, &type, &payload, &len)) {
		if (type != PODRT_RECORD_SYSCTL)
			continue;
		s->path = payload;
		s->value = s->path + strlen(s->path) + 1;
		s->name = s->value + strlen(s->value) + 1;
		return 1;
	}
	return 0;
}
