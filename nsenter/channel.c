/*
 * The processes of one sandbox talk over socket pairs that keep message
 * boundaries. A closed channel is how the death of the other side is seen:
 * whoever waits on one then ends, so that no SIGKILL leaves a process behind.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox.h"

int podrt_channel(int fd[2], struct failure *f)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return podrt_fail(f, errno, "make channel", "");
	return 0;
}

int podrt_send(int fd, const struct message *m)
{
	ssize_t n;

	do
		n = send(fd, m, sizeof(*m), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == sizeof(*m) ? 0 : -1;
}

/* who is named when it died without a word. */
int podrt_receive(int fd, const char *who, struct message *m, struct failure *f)
{
	ssize_t n;

	do
		n = recv(fd, m, sizeof(*m), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return podrt_fail(f, errno, "wait for", who);
	if (n != sizeof(*m))
		return podrt_fail_detail(f, "wait for", who, "it died");
	if (m->failure.step[0] != 0) {
		*f = m->failure;
		return -1;
	}
	return 0;
}

int podrt_go(int fd)
{
	ssize_t n;

	do
		n = send(fd, "g", 1, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -1;
}

int podrt_wait_go(int fd)
{
	ssize_t n;
	char c;

	do
		n = recv(fd, &c, 1, 0);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -1;
}

int podrt_closed(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return -1;
}
