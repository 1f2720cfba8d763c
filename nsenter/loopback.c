/* The loopback interface of a new network namespace. */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox.h"

/* Up is all: the kernel then gives it 127.0.0.1/8 and, unless IPv6 is off, ::1/128. */
int podrt_loopback_up(struct failure *f)
{
	struct ifreq req;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return podrt_fail(f, errno, "open socket for interface", "lo");
	memset(&req, 0, sizeof(req));
	strcpy(req.ifr_name, "lo");
	if (ioctl(fd, SIOCGIFFLAGS, &req) < 0)
		return podrt_fail(f, errno, "read flags of interface", "lo");
	req.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return podrt_fail(f, errno, "raise interface", "lo");
	close(fd);
	return 0;
}
