package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// kernelHeaders name the system calls of x86-64 and i386, one "#define __NR_…"
// each.
var kernelHeaders = []string{
	"/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
	"/usr/include/x86_64-linux-gnu/asm/unistd_32.h",
}

// denied are the system calls that the usual profiles of engines do not allow
// to a container without more capabilities.
var denied = strings.Fields(`
	_sysctl acct add_key bdflush bpf break clock_adjtime clock_adjtime64 clock_settime clock_settime64
	create_module delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick ftime
	get_kernel_syms get_mempolicy getpmsg gtty idle init_module ioperm iopl kcmp kexec_file_load kexec_load
	keyctl lock lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages mpx
	nfsservctl open_by_handle_at open_tree perf_event_open pivot_root process_madvise process_vm_readv
	process_vm_writev prof profil ptrace putpmsg query_module quotactl quotactl_fd reboot request_key
	security set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday stime stty
	swapoff swapon sysfs syslog tuxcall ulimit umount umount2 unshare uselib userfaultfd ustat vhangup vm86
	vm86old vserver`)

// conditional are those that a rule with arguments allows, or refuses in its
// own way.
var conditional = []string{"clone", "clone3", "personality", "socket"}

// seccompProfile is a profile of the size and the kind that engines give to
// every container: some 400 names and some conditions, for three architectures.
func seccompProfile() (*specs.LinuxSeccomp, error) {
	names, err := systemCalls()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool {
		return slices.Contains(denied, n) || slices.Contains(conditional, n)
	})
	eperm, enosys := uint(1), uint(38)
	p := &specs.LinuxSeccomp{
		DefaultAction:   specs.ActErrno,
		DefaultErrnoRet: &eperm,
		Architectures:   []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
		Syscalls: []specs.LinuxSyscall{
			{Names: names, Action: specs.ActAllow},
			// No new namespaces; clone3's flags cannot be looked at.
			{Names: []string{"clone"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 0x7e020000, Op: specs.OpMaskedEqual}}},
			{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: &enosys},
			// Not AF_VSOCK.
			{Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 40, Op: specs.OpNotEqual}}},
		},
	}
	for _, persona := range []uint64{0x0, 0x8, 0x20000, 0x20008, 0xffffffff} {
		p.Syscalls = append(p.Syscalls, specs.LinuxSyscall{
			Names: []string{"personality"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: persona, Op: specs.OpEqualTo}},
		})
	}
	return p, nil
}

// systemCalls names those of both architectures, sorted.
func systemCalls() ([]string, error) {
	var names []string
	for _, path := range kernelHeaders {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("system calls: %w", err)
		}
		s := bufio.NewScanner(f)
		for s.Scan() {
			if fields := strings.Fields(s.Text()); len(fields) == 3 && fields[0] == "#define" {
				if name, ok := strings.CutPrefix(fields[1], "__NR_"); ok {
					names = append(names, name)
				}
			}
		}
		if err := errors.Join(s.Err(), f.Close()); err != nil {
			return nil, fmt.Errorf("system calls: read %q: %w", path, err)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
