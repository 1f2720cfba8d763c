package contract

import "strings"

// verbFlags is the table of the reference page: each verb's flags, "name,short",
// with ":" and an example where a flag takes a value.
var verbFlags = map[string]string{
	"create": "bundle,b:/proc/nonexistent console-socket:/s pidfd-socket:/s pid-file:/p no-pivot no-new-keyring preserve-fds:1",
	"run":    "bundle,b:/proc/nonexistent console-socket:/s pidfd-socket:/s pid-file:/p no-pivot no-new-keyring preserve-fds:1 detach,d keep no-subreaper",
	"start":  "",
	"exec": "console-socket:/s pidfd-socket:/s cwd:/ env,e:A=1 tty,t user,u:1:2 additional-gids,g:3 process,p:/p detach,d pid-file:/p " +
		"process-label:l apparmor:a no-new-privs cap,c:CAP_KILL preserve-fds:1 cgroup:c ignore-paused",
	"kill":   "all,a",
	"delete": "force,f",
	"state":  "",
	"list":   "format,f:json quiet,q",
	"ps":     "format,f:json",
	"pause":  "",
	"resume": "",
	"update": "resources,r:/r blkio-weight:10 cpu-period:1 cpu-quota:1 cpu-burst:1 cpu-share:1 cpu-rt-period:1 cpu-rt-runtime:1 " +
		"cpuset-cpus:0 cpuset-mems:0 memory:1m memory-reservation:1m memory-swap:-1 pids-limit:1 cpu-idle:1 l3-cache-schema:x " +
		"mem-bw-schema:x kernel-memory:1 kernel-memory-tcp:1",
	"events": "interval:1s stats",
	"checkpoint": "image-path:/i work-path:/w parent-path:p leave-running tcp-established tcp-skip-in-flight link-remap ext-unix-sk " +
		"shell-job lazy-pages status-fd:3 page-server:h:1 file-locks pre-dump manage-cgroups-mode:soft empty-ns:network auto-dedup",
	"restore": "console-socket:/s image-path:/ work-path:/w tcp-established ext-unix-sk shell-job file-locks manage-cgroups-mode:full " +
		"bundle,b:/proc/nonexistent detach,d pid-file:/p no-subreaper no-pivot empty-ns:network auto-dedup lazy-pages lsm-profile:t:n lsm-mount-context:c",
	"spec":     "bundle,b:/proc/nonexistent rootless",
	"features": "",
}

// globalFlags are those that come before the verb.
const globalFlags = "debug log:/dev/null log-format:text root:/proc/nonexistent systemd-cgroup rootless:auto"

// flagForm is a flag of the table.
type flagForm struct {
	names []string // with dashes
	value string   // "" for a switch
}

func parseFlags(table string) []flagForm {
	var forms []flagForm
	for _, f := range strings.Fields(table) {
		names, value, _ := strings.Cut(f, ":")
		form := flagForm{value: value}
		for _, n := range strings.Split(names, ",") {
			form.names = append(form.names, "-"+n, "--"+n)
		}
		forms = append(forms, form)
	}
	return forms
}

// ways are the command lines that set the flag.
func (f flagForm) ways() [][]string {
	var ways [][]string
	for _, n := range f.names {
		if f.value == "" {
			ways = append(ways, []string{n}, []string{n + "=true"}, []string{n + "=F"})
		} else {
			ways = append(ways, []string{n, f.value}, []string{n + "=" + f.value})
		}
	}
	return ways
}
