#include "floor.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The device rules of the default spec, as a program of the cgroup. */
void allow_devices(const char *cgroup)
{
	static const struct {
		int type, access, major, minor; /* -1: any */
	} rules[] = {
		{ BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_MKNOD, -1, -1 },
		{ BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_ACC_MKNOD, -1, -1 },
		{ BPF_DEVCG_DEV_CHAR, 7, 1, 3 }, { BPF_DEVCG_DEV_CHAR, 7, 1, 8 },
		{ BPF_DEVCG_DEV_CHAR, 7, 1, 7 }, { BPF_DEVCG_DEV_CHAR, 7, 5, 0 },
		{ BPF_DEVCG_DEV_CHAR, 7, 1, 5 }, { BPF_DEVCG_DEV_CHAR, 7, 1, 9 },
		{ BPF_DEVCG_DEV_CHAR, 7, 136, -1 }, { BPF_DEVCG_DEV_CHAR, 7, 5, 2 },
	};
	struct bpf_insn code[128];
	union bpf_attr attr;
	int n = 0, fd, prog;

#define INSN(c, d, s, o, i) (code[n++] = (struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (short)(o), .imm = (i) })
	INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	INSN(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
	INSN(BPF_LDX | BPF_MEM | BPF_W, 3, 1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	INSN(BPF_ALU | BPF_RSH | BPF_K, 3, 0, 0, 16);
	INSN(BPF_LDX | BPF_MEM | BPF_W, 4, 1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	INSN(BPF_LDX | BPF_MEM | BPF_W, 5, 1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	for (size_t i = 0; i < LEN(rules); i++) {
		int first = n;

		INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 0, rules[i].type);
		if (rules[i].access != 7) {
			INSN(BPF_ALU | BPF_MOV | BPF_X, 6, 3, 0, 0);
			INSN(BPF_ALU | BPF_AND | BPF_K, 6, 0, 0, rules[i].access);
			INSN(BPF_JMP | BPF_JNE | BPF_X, 6, 3, 0, 0);
		}
		if (rules[i].major >= 0)
			INSN(BPF_JMP | BPF_JNE | BPF_K, 4, 0, 0, rules[i].major);
		if (rules[i].minor >= 0)
			INSN(BPF_JMP | BPF_JNE | BPF_K, 5, 0, 0, rules[i].minor);
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
		/* What does not fit goes to the next rule. */
		for (int j = first; j < n; j++)
			if (BPF_OP(code[j].code) == BPF_JNE && BPF_CLASS(code[j].code) == BPF_JMP)
				code[j].off = (short)(n - j - 1);
	}
	INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
	INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
#undef INSN

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)code;
	attr.insn_cnt = (uint32_t)n;
	attr.license = (uint64_t)(uintptr_t)"Apache";
	prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (prog < 0)
		die("load device program");
	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)fd;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	if (fd < 0 || syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)) < 0)
		die("attach device program");
	close(fd);
	close(prog);
}
