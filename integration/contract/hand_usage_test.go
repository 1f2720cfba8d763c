package contract

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// What scripts and people depend on in command lines.
var usageRows = []row{
	{
		name: "flags-in-every-form",
		says: "-x and --x both accepted, --x=v and --x v, a switch also as --x=false",
		do: func(s *session) {
			if s.name == "podrt" {
				s.skipped = true // it takes long, and is the same program as podrt called as runc
				return
			}
			for _, verb := range slices.Sorted(maps.Keys(verbFlags)) {
				for _, f := range parseFlags(verbFlags[verb]) {
					for _, way := range f.ways() {
						args := append([]string{verb}, way...)
						switch verb {
						case "list", "features", "spec":
						case "exec":
							args = append(args, "none", "true")
						default:
							args = append(args, "none")
						}
						s.usage(args...)
					}
				}
			}
			for _, f := range parseFlags(globalFlags) {
				for _, way := range f.ways() {
					s.usage(append(way, "state", "none")...)
				}
			}
		},
	},
	{
		name: "flags-after-arguments",
		says: "flags before and after the ID, as urfave/cli v1 orders them",
		do: func(s *session) {
			s.ok("create", "c1", "--bundle", s.bundle, "--pid-file="+s.path("pid"), "--no-pivot=false")
			s.ok("start", "c1")
			s.ok("kill", "c1", "9", "--all")
			s.awaitStatus("stopped")
			s.ok("delete", "c1", "-f")
			s.ok("run", "c1", "--detach", "-b", s.bundle, "-no-subreaper")
			r := s.call("exec", "c1", "echo", "-n", "-d", "--tty", "--", "x")
			if r.stdout != "-d --tty -- x" {
				s.Errorf("exec prints %q; what comes after the ID is the command's", r.stdout)
			}
			s.fails(1, "unable to signal init: invalid argument", "kill", "c1", "-9")
			s.ok("delete", "--force", "--", "c1")
			s.ok("list", "-q", "-f", "json")
		},
	},
	{
		name: "argument-count",
		says: "an argument error prints help on stdout, exit 1",
		do: func(s *session) {
			least := map[string]string{"create": "exactly 1", "run": "exactly 1", "start": "exactly 1", "state": "exactly 1", "delete": "exactly 1", "pause": "exactly 1", "resume": "exactly 1", "update": "exactly 1", "events": "exactly 1", "checkpoint": "exactly 1", "restore": "exactly 1", "kill": "a minimum of 1", "exec": "a minimum of 1", "ps": "a minimum of 1"}
			for _, verb := range slices.Sorted(maps.Keys(least)) {
				s.badUsage("PROG: \""+verb+"\" requires "+least[verb]+" argument(s)", verb)
			}
			s.badUsage(`PROG: "kill" requires a maximum of 2 argument(s)`, "kill", "a", "b", "c")
			for _, verb := range []string{"create", "run", "start", "state", "delete", "pause", "resume", "update", "events", "checkpoint", "restore"} {
				s.badUsage("PROG: \""+verb+"\" requires exactly 1 argument(s)", verb, "a", "b")
			}
			for _, verb := range []string{"list", "spec", "features"} {
				s.badUsage("PROG: \""+verb+"\" requires exactly 0 argument(s)", verb, "a")
			}
		},
	},
	{
		name: "bad-flags",
		says: "an unknown flag or value prints help on stdout, exit 1; an unknown command exits 3",
		do: func(s *session) {
			s.badUsage("flag provided but not defined: -nope", "create", "--nope", "c1")
			s.badUsage("flag provided but not defined: -9", "kill", "-9", "c1")
			s.badUsage("flag provided but not defined: -detach", "create", "--detach", "c1")
			s.badUsage("flag needs an argument: -bundle", "create", "--bundle")
			s.badUsage(`invalid value "x" for flag -preserve-fds: parse error`, "run", "--preserve-fds", "x", "c1")
			s.badUsage(`invalid value "99999999999999999999" for flag -preserve-fds: value out of range`, "run", "--preserve-fds", "99999999999999999999", "c1")
			s.badUsage(`invalid boolean value "x" for -force: parse error`, "delete", "--force=x", "c1")
			s.badUsage(`invalid value "5" for flag -interval: parse error`, "events", "--interval", "5", "c1")
			s.badUsage(`invalid value "x" for flag -g: strconv.ParseInt: parsing "x": invalid syntax`, "exec", "-g", "x", "c1", "true")
			s.badUsage("Cannot use two forms of the same flag: b bundle", "create", "--bundle", "/", "-b", "/", "c1")
			for _, args := range [][]string{{"foo"}, {"foo", "-h"}, {"help", "foo"}, {"pods"}} {
				r := s.run(s.bare(args...))
				if r.code != 3 || !strings.Contains(r.stderr, "No help topic for '") || r.stdout != "" {
					s.Errorf("%q: %+v; want exit code 3 and no help", args, r)
				}
			}
			for _, args := range [][]string{{"--nope"}, {"--root"}, {"--debug=x", "list"}} {
				r := s.run(s.bare(args...))
				first, _, _ := strings.Cut(r.stdout, "\n")
				s.fact("exit code", r.code)
				s.fact("help", first)
				s.fact("error", r.stderr)
			}
		},
	},
	{
		name: "help",
		says: "-h, --help and help for each: every line of runc's options is there",
		do: func(s *session) {
			for _, verb := range slices.Sorted(maps.Keys(verbFlags)) {
				for _, args := range [][]string{{verb, "-h"}, {verb, "--help"}, {"help", verb}, {"h", verb}} {
					r := s.run(s.bare(args...))
					s.fact("exit code", r.code)
					s.fact("error", r.stderr)
					s.fact("title", strings.Join(strings.SplitN(r.stdout, "\n", 3)[:2], " "))
				}
				s.fact("options of "+verb, s.options(verb, "-h"))
			}
			for _, args := range [][]string{{}, {"-h"}, {"--help"}, {"help"}, {"h"}, {""}} {
				r := s.run(s.bare(args...))
				s.fact("exit code", r.code)
				s.fact("error", r.stderr)
				if !strings.HasPrefix(s.normal(r.stdout), "NAME:\n   runc - ") {
					s.Errorf("%q prints %q", args, r.stdout)
				}
			}
			s.fact("global options", s.options("-h"))
		},
	},
	{
		name: "root",
		says: "--root made absolute; / refused; missing non-default --root is an error of list",
		do: func(s *session) {
			const slash = "Option --root argument should not be set to /"
			for _, root := range []string{"/", "/tmp/..", "//", "../../../../../../../../../.."} {
				r := s.run(s.bare("--root", root, "list"))
				s.fact("error", r.stderr)
				if r.code != 1 || !strings.Contains(r.stderr, slash) {
					s.Errorf("--root %s: %+v; want exit code 1, %s", root, r, slash)
				}
			}
			cmd := s.bare("--root=", "list")
			cmd.Dir = "/"
			s.fact("error", s.run(cmd).stderr)
			s.fails(1, "open DIR/state: no such file or directory", "list")
			cmd = s.bare("--root", "state", "create", "--bundle", "bundle", "c1")
			cmd.Dir = s.dir
			s.silent(cmd)
			s.fact("state", s.quiet("state", "c1").stdout)
			s.ok("delete", "c1")
			info, err := os.Stat(s.root)
			s.must(err)
			s.fact("mode of the root", info.Mode())
			s.must(os.Symlink("nowhere", s.path("dangling")))
			for _, root := range []string{s.path("dangling"), s.write("file", ""), s.path("file/below")} {
				s.call("--root", root, "create", "c1")
			}
		},
	},
	{
		name: "global-values",
		says: "--log-format text|json, --rootless true|false|auto",
		do: func(s *session) {
			for _, args := range [][]string{
				{"--log-format", "xml", "list"},
				{"--log-format=", "state", "c1"},
				{"--log-format", "json", "state", "c1"},
				{"--log", "/proc/nonexistent/log", "state", "c1"},
				{"--log", "/proc/nonexistent/log", "--log-format", "json", "state", "c1"},
				{"--log", "/", "state", "c1"},
				{"--rootless", "maybe", "state", "c1"},
				{"--rootless", "maybe", "create", "c1"},
				{"--rootless", "", "state", "c1"},
				{"--rootless", "AUTO", "state", "c1"},
				{"--systemd-cgroup", "state", "c1"},
			} {
				r := s.run(s.bare(append([]string{"--root", s.root}, args...)...))
				s.fact("call", strings.Join(args, " "))
				s.fact("exit code", r.code)
				s.fact("error", jsonCode.ReplaceAllString(s.normal(r.stderr), ""))
				s.fact("output", r.stdout)
			}
			for _, rootless := range []string{"true", "false", "auto"} {
				s.global = []string{"--root", s.root, "--log", s.log, "--log-format", "json", "--rootless", rootless}
				s.ok("run", "-d", "c1")
				s.ok("delete", "-f", "c1")
			}
			// Only podrt has it; runc's callers pass it to crun alone.
			if s.podrt {
				for _, m := range []string{"cgroupfs", "systemd"} {
					if r := s.run(s.bare("--root", s.root, "--cgroup-manager", m, "state", "c1")); !strings.Contains(r.stderr, "container does not exist") {
						s.Errorf("--cgroup-manager %s: %+v", m, r)
					}
				}
			}
		},
	},
	{
		name: "name-of-the-program",
		says: "argv[0] in argument errors and nothing else; messages name the runtime",
		do: func(s *session) {
			dir := s.path("bin")
			s.must(os.Mkdir(dir, 0o755))
			name := filepath.Base(s.bin)
			s.must(os.Symlink(s.bin, filepath.Join(dir, name)))
			cmd := exec.Command("sh", "-c", name+" create; "+name+" create none")
			cmd.Env, cmd.Dir = []string{"PATH=" + dir}, "/"
			cmd.Path, _ = exec.LookPath("sh")
			out, _ := cmd.CombinedOutput()
			for line := range strings.SplitSeq(s.normal(string(out)), "\n") {
				if strings.Contains(line, "level=error") {
					s.fact("line", line)
				}
			}
		},
	},
}

// usage gives a command line that fails for want of a container or a bundle,
// and records the answer in short.
func (s *session) usage(args ...string) {
	s.Helper()
	cmd := s.bare(args...)
	if !slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "root=") || strings.HasSuffix(a, "-root") }) {
		cmd = s.bare(append([]string{"--root", s.root}, args...)...)
	}
	cmd.Dir = s.dir
	r := s.run(cmd)
	help, _, _ := strings.Cut(r.stdout, "\n")
	s.fact("call", strings.Join(args, " "))
	s.fact("answer", strings.TrimSpace(help+" "+jsonCode.ReplaceAllString(r.stderr, "")))
	s.fact("exit code", r.code)
	_ = os.Remove(s.path("config.json")) // of spec
}

// badUsage wants help on standard output, and the message.
func (s *session) badUsage(message string, args ...string) {
	s.Helper()
	r := s.run(s.command(args...))
	s.checkRules(s.command().Args, r)
	s.wantFailure(r, 1, message, args...)
	first, _, _ := strings.Cut(r.stdout, "\n")
	s.fact("help", first)
	if !strings.Contains(s.normal(r.stdout), "NAME:\n   runc "+args[0]+" - ") {
		s.Errorf("%q prints %q; want the help of %s", args, r.stdout, args[0])
	}
	s.fact("log", s.normalLog(r.log))
	s.fact("standard error", r.stderr)
}

// options are the names in the list of options that a help shows; of podrt's
// those that runc's has, too.
func (s *session) options(args ...string) string {
	s.Helper()
	own := optionNames(s.run(s.bare(args...)).stdout)
	runc := s.bare(args...)
	runc.Path = s.w.sides[len(s.w.sides)-1].bin
	runcs := optionNames(s.run(runc).stdout)
	return strings.Join(slices.DeleteFunc(own, func(name string) bool { return !slices.Contains(runcs, name) }), "\n")
}

func optionNames(help string) (names []string) {
	_, list, _ := strings.Cut(help, "OPTIONS:\n")
	for line := range strings.SplitSeq(list, "\n") {
		if name, _, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && strings.HasPrefix(name, "-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
