package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
	"github.com/podrt/podrt/integration/vm"
)

// inVM runs args in a VM and returns the exit code of their command.
func inVM(args []string) (int, error) {
	cfg := vm.Config{Stdout: os.Stdout, Stderr: os.Stderr, Log: progress}
	flags := flag.NewFlagSet("rung vm", flag.ContinueOnError)
	flags.StringVar(&cfg.Set, "kernel", "", "set of parts, `backports` (Linux 6.12) or stable (6.1); default: the first at hand")
	flags.IntVar(&cfg.MemoryMiB, "mem", 2048, "memory in `MiB`")
	flags.IntVar(&cfg.CPUs, "cpus", 1, "number of CPUs")
	flags.IntVar(&cfg.DiskMiB, "disk", 0, "`MiB` of a scratch ext4 on /dev/vda, mounted on /var/lib/podrt")
	flags.DurationVar(&cfg.Limit, "limit", 30*time.Minute, "time limit")
	flags.StringVar(&cfg.Append, "append", "", "more for the kernel's command `line`")
	flags.StringVar(&cfg.Console, "console", "", "`file` for what the kernel and PID 1 say")
	flags.BoolVar(&cfg.Systemd, "systemd", false, "boot systemd; the command is a service of it")
	flags.BoolVar(&cfg.Terminal, "t", false, "give the command this terminal: rung vm -t bash")
	shards := flags.Int("shards", 1, "`number` of VMs among which to share a test binary's tests")
	flags.Func("share", "`directory` that the command may write to; may be repeated", func(dir string) error {
		abs, err := filepath.Abs(dir)
		cfg.Shares = append(cfg.Shares, abs)
		return err
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0, nil
		}
		return 0, err
	}
	if flags.NArg() == 0 {
		return 0, errUsage
	}
	path, err := exec.LookPath(flags.Arg(0))
	if err != nil {
		return 0, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return 0, err
	}
	cfg.Args = append([]string{path}, flags.Args()[1:]...)
	cfg.Env = append(os.Environ(), rung.Env+"="+string(rung.VM), "TMPDIR=/tmp")
	cfg.Shares = append(cfg.Shares, testOutputDirs(cfg.Args[1:])...)

	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	defer stop()
	code, err := runShards(ctx, cfg, *shards)
	if code != 0 || err != nil {
		fmt.Fprintln(os.Stderr, "rung: again:", again(args, cfg.Args))
	}
	return code, err
}

func fetch(args []string) error {
	set := ""
	switch len(args) {
	case 0:
	case 1:
		set = args[0]
	default:
		return errUsage
	}
	parts, err := vm.Fetch(context.Background(), set, progress)
	if err != nil {
		return err
	}
	fmt.Println(parts)
	return nil
}

// progress says on standard error what takes long.
func progress(line string) { fmt.Fprintln(os.Stderr, "rung:", line) }

// outputFlags are the flags of a test binary whose value is a file, or a
// directory, that it writes; go test passes them with absolute paths.
var outputFlags = []string{
	"coverprofile", "gocoverdir", "testlogfile", "outputdir",
	"cpuprofile", "memprofile", "blockprofile", "mutexprofile", "trace",
}

// testOutputDirs returns the directories that a test binary with these
// arguments writes to.
func testOutputDirs(args []string) []string {
	var dirs []string
	for _, arg := range args {
		name, value, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		for _, f := range outputFlags {
			if name != "-test."+f && name != "test."+f || !filepath.IsAbs(value) {
				continue
			}
			if info, err := os.Stat(value); err != nil || !info.IsDir() {
				value = filepath.Dir(value)
			}
			dirs = appendDir(dirs, value)
		}
	}
	return dirs
}

// appendDir adds dir unless one of dirs holds it already.
func appendDir(dirs []string, dir string) []string {
	for _, d := range dirs {
		if dir == d || strings.HasPrefix(dir, d+"/") {
			return dirs
		}
	}
	return append(dirs, dir)
}

// again returns the shell command that does this run once more. A test binary
// that go test will have removed by then is built again.
func again(rungArgs, command []string) string {
	self := selfPath()
	wd, _ := os.Getwd()
	if !strings.HasSuffix(command[0], ".test") || !strings.Contains(command[0], "/go-build") {
		return "cd " + quote(wd) + " && " + quote(append([]string{self, "vm"}, rungArgs...)...)
	}
	flags := rungArgs[:len(rungArgs)-len(command)]
	rerun := []string{"go", "test", "-count=1", "-exec", quote(append([]string{self, "vm"}, flags...)...), "."}
	for _, arg := range command[1:] {
		name, isTest := strings.CutPrefix(arg, "-test.")
		switch {
		case !isTest:
			rerun = append(rerun, arg)
		case strings.HasPrefix(name, "paniconexit0"), strings.HasPrefix(name, "testlogfile="),
			strings.HasPrefix(name, "gocoverdir="), strings.HasPrefix(name, "coverprofile="), strings.HasPrefix(name, "count="):
			// go test's own
		default:
			rerun = append(rerun, "-"+name)
		}
	}
	return "cd " + quote(wd) + " && " + quote(rerun...)
}

// quote joins words as a shell reads them.
func quote(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsFunc(w, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,@%+", r)
		}) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}
