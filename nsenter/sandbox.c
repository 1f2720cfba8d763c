/*
 * The sandbox process, in order. Nothing it makes outlives it before the pins
 * stand: namespaces die with their last process, the member and the pod init
 * end when their channels close. The pins themselves are undone by the Go side
 * (create.go), that made their files and is there even when this is killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox.h"

int podrt_sandbox(int config_fd);

struct sandbox {
	int proc;	       /* /proc */
	int links;	       /* /proc/PID/ns of who made the namespaces */
	int ipc_links;	       /* of who made the IPC namespace: see userns.c */
	struct member member;  /* pid 0: no user namespace */
	pid_t init;	       /* 0: none */
	int init_channel[2];   /* [0] is ours */
	int init_ready;
};

/* The pod init is as it will be, or failed. */
static int await_init(struct sandbox *s, struct failure *f)
{
	struct message m;

	if (s->init == 0 || s->init_ready)
		return 0;
	if (podrt_receive(s->init_channel[0], "pod init", &m, f) < 0)
		return -1;
	s->init_ready = 1;
	return 0;
}

static int make_namespaces(const struct config *cfg, struct sandbox *s, struct failure *f)
{
	int maker;

	if ((cfg->flags & CLONE_NEWUSER) == 0) {
		if (podrt_unshare(cfg->flags, f) < 0)
			return -1;
	} else if (podrt_member_start(cfg, s->init_channel, s->proc, &s->member, f) < 0) {
		return -1;
	}
	maker = podrt_open_task(s->proc, s->member.pid, f); /* 0 is this process */
	if (maker < 0)
		return -1;
	s->links = s->ipc_links = podrt_open_links(maker, f);
	if (s->links < 0)
		return -1;
	/* From out here: to the undumpable member its own file is closed. */
	if (cfg->time_offsets != NULL &&
	    podrt_write_at(maker, "timens_offsets", cfg->time_offsets) < 0)
		return podrt_fail(f, errno, "write offsets of namespace", "time");
	close(maker);
	return 0;
}

static int start_init(const struct config *cfg, struct sandbox *s, struct report *r,
		      struct failure *f)
{
	struct message m;
	uint64_t start;
	char pid[16];
	int task;

	memset(&m, 0, sizeof(m));
	if (s->member.pid == 0) {
		if (podrt_init_spawn(cfg, s->init_channel, s->proc, &m, f) < 0)
			return -1;
	} else {
		if (podrt_go(s->member.channel) < 0)
			return podrt_fail_detail(f, "wait for", "user namespace member", "it died");
		if (podrt_receive(s->member.channel, "user namespace member", &m, f) < 0)
			return -1;
	}
	s->init = m.pid;
	if (m.outside) {
		snprintf(pid, sizeof(pid), "%d", m.pid);
		if (podrt_write_at(cfg->init_cgroup_fd, "cgroup.procs", pid) < 0)
			return podrt_fail(f, errno, "move into its cgroup", "pod init");
	}
	/* Its parent lives and has not waited for it, so the pid is still its own. */
	task = podrt_open_task(s->proc, m.pid, f);
	if (task < 0)
		return -1;
	if (podrt_start_time(task, &start) < 0)
		return podrt_fail(f, errno, "read start time of", "pod init");
	podrt_report_init(r, m.pid, start);
	if (s->member.pid != 0) {
		s->ipc_links = podrt_open_links(task, f);
		if (s->ipc_links < 0)
			return -1;
	}
	close(task);
	return 0;
}

static int pin_all(const struct config *cfg, struct sandbox *s, struct report *r,
		   struct failure *f)
{
	const struct kind *k;

	for (int i = 0; (k = podrt_kind(i)) != NULL; i++) {
		int links = k->flag == CLONE_NEWIPC ? s->ipc_links : s->links;

		if ((cfg->flags & k->flag) != 0 &&
		    podrt_pin(links, k, cfg->pin_dir_fd, r, f) < 0)
			return -1;
	}
	return 0;
}

static int build(const struct config *cfg, struct sandbox *s, struct report *r,
		 struct failure *f)
{
	const uint32_t settable = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

	s->proc = podrt_open_proc(f);
	if (s->proc < 0)
		return -1;
	if (cfg->has_oom_score) {
		/* Inherited by the pod init, which may not lower it itself. Lowering
		 * needs CAP_SYS_RESOURCE: without it, the pod init is as killable as
		 * podrt is, and that is no reason to have no pod. */
		char score[16];

		snprintf(score, sizeof(score), "%d", cfg->oom_score);
		(void)podrt_write_at(s->proc, "self/oom_score_adj", score);
	}
	if ((cfg->flags & CLONE_NEWPID) != 0 && podrt_channel(s->init_channel, f) < 0)
		return -1;
	if (make_namespaces(cfg, s, f) < 0)
		return -1;
	if ((cfg->flags & CLONE_NEWPID) != 0 && start_init(cfg, s, r, f) < 0)
		return -1;
	if (s->member.pid != 0) {
		if (await_init(s, f) < 0)
			return -1;
		/* Settings are written from outside: see sysctl.c for the reason. */
		if (podrt_enter(s->links, cfg->flags & settable & ~(uint32_t)CLONE_NEWIPC, f) < 0 ||
		    podrt_enter(s->ipc_links, cfg->flags & CLONE_NEWIPC, f) < 0)
			return -1;
	}
	if (podrt_set_names(cfg, f) < 0 || podrt_set_sysctls(cfg, s->proc, f) < 0)
		return -1;
	if ((cfg->flags & CLONE_NEWNET) != 0 && podrt_loopback_up(f) < 0)
		return -1;
	/* The pod init got ready meanwhile. */
	if (await_init(s, f) < 0)
		return -1;
	/* Pins last: they alone would have to be taken back. */
	if (pin_all(cfg, s, r, f) < 0)
		return -1;
	if (podrt_report_done(r, cfg->report_fd) < 0)
		return podrt_fail(f, errno, "report", "");
	if (s->init != 0 && podrt_go(s->init_channel[0]) < 0)
		return podrt_fail_detail(f, "wait for", "pod init", "it died");
	return 0;
}

/* Let go of, or end, the processes of the sandbox; wait for our children that end. */
static void finish(struct sandbox *s, int ok)
{
	podrt_closed(&s->init_channel[0]);
	podrt_closed(&s->init_channel[1]);
	if (s->member.pid != 0) {
		if (ok)
			(void)podrt_go(s->member.channel);
		podrt_closed(&s->member.channel);
		waitpid(s->member.pid, NULL, 0);
	} else if (!ok && s->init != 0) {
		waitpid(s->init, NULL, 0);
	}
}

int podrt_sandbox(int config_fd)
{
	struct sandbox s = { .proc = -1, .links = -1, .ipc_links = -1, .init_channel = { -1, -1 } };
	struct report report = { .len = 0 };
	struct failure f = { .err = 0 };
	struct config cfg;
	sigset_t all;
	int ok;

	/* A ^C on the terminal is for podrt to act on; a broken report pipe is an
	 * error like others. The pod init sets its own. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* Inherited by the pod init, so that it is never open to the containers. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);

	ok = podrt_read_config(config_fd, &cfg, &f) == 0 && build(&cfg, &s, &report, &f) == 0;
	finish(&s, ok);
	if (ok)
		return 0;
	if (cfg.report_fd >= 0)
		podrt_report_failure(cfg.report_fd, &f);
	else
		dprintf(STDERR_FILENO, "podrt: %s\n", f.detail[0] != 0 ? f.detail : strerror(f.err));
	return 1;
}
