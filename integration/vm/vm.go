package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/vm/job"
)

// Config says what to run in which VM.
type Config struct {
	Args    []string // the command; Args[0] is an absolute path on the host
	Env     []string // of the command, whole
	WorkDir string   // absolute; "" is the current one
	// Shares are directories of the host that the command may write to.
	Shares []string

	Set       string // of parts, as Fetch takes it
	MemoryMiB int    // 0 is 2048
	CPUs      int    // 0 is 1: several VMs of one CPU run side by side well
	// DiskMiB is the size of a scratch disk, /dev/vda, an empty ext4 that is
	// /var/lib/podrt; 0 is none, and /var/lib/podrt is in memory.
	DiskMiB int
	// Systemd boots systemd, with nothing but its bus and its journal beside the
	// command, which is a service of it.
	Systemd bool
	Append  string        // more for the kernel's command line
	Console string        // file for what the kernel and PID 1 say; "" is none
	Limit   time.Duration // of the whole run; 0 is none

	// Terminal makes this process's terminal the command's; Stdout and Stderr
	// are then not used.
	Terminal       bool
	Stdout, Stderr io.Writer
	Log            func(string) // takes what Fetch says; nil drops it
}

// Error is a VM that did not run its command to the end.
type Error struct {
	Reason  string
	Console string // the last lines of the kernel and PID 1
}

func (e *Error) Error() string {
	return fmt.Sprintf("VM: %s; its console ends with:\n%s", e.Reason, e.Console)
}

// consoleLines is how much of the console an [Error] holds.
const consoleLines = 40

// Run boots a VM, runs the command in it, and returns its exit code: 128+N
// for signal N. The VM dies with this process and with ctx.
func Run(ctx context.Context, cfg Config) (code int, retErr error) {
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	if cfg.WorkDir == "" {
		dir, err := os.Getwd()
		if err != nil {
			return 0, err
		}
		cfg.WorkDir = dir
	}
	if len(cfg.Args) == 0 || !filepath.IsAbs(cfg.Args[0]) {
		return 0, fmt.Errorf("command %q: want an absolute path", cfg.Args)
	}
	parts, guest, err := prepare(ctx, cfg)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "podrt-vm-")
	if err != nil {
		return 0, err
	}
	defer func() { retErr = errors.Join(retErr, os.RemoveAll(dir)) }()
	m, err := cfg.machine(ctx, parts, guest, dir)
	if err != nil {
		return 0, err
	}
	if cfg.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, cfg.Limit, fmt.Errorf("the time limit of %v is over", cfg.Limit))
		defer cancel()
	}
	qemuErr := m.run(ctx, cfg)
	code, err = readExitCode(m.jobDir)
	if err == nil {
		return code, nil
	}
	reason := fmt.Sprintf("%v (%v)", err, qemuErr)
	if cause := context.Cause(ctx); cause != nil {
		reason = cause.Error()
	}
	console, _ := os.ReadFile(m.console)
	return 0, &Error{Reason: reason, Console: consoleEnd(strings.ReplaceAll(string(console), "\r", ""))}
}

// prepare fetches the parts and builds PID 1 at the same time.
func prepare(ctx context.Context, cfg Config) (*Parts, []byte, error) {
	type built struct {
		guest []byte
		err   error
	}
	done := make(chan built, 1)
	go func() {
		guest, err := buildGuest(ctx)
		done <- built{guest, err}
	}()
	parts, err := Fetch(ctx, cfg.Set, cfg.Log)
	b := <-done
	return parts, b.guest, errors.Join(err, b.err)
}

// machine writes to dir what QEMU needs for the run.
func (cfg *Config) machine(ctx context.Context, parts *Parts, guest []byte, dir string) (*machine, error) {
	m := &machine{
		parts:     parts,
		memoryMiB: cfg.MemoryMiB,
		cpus:      cfg.CPUs,
		initramfs: filepath.Join(dir, "initramfs"),
		append:    cfg.Append,
		console:   filepath.Join(dir, "console.log"),
		jobDir:    filepath.Join(dir, "job"),
		stdoutFd:  3, // exec.Cmd.ExtraFiles
		stderrFd:  4,
		terminal:  cfg.Terminal,
	}
	if m.memoryMiB == 0 {
		m.memoryMiB = 2048
	}
	if m.cpus == 0 {
		m.cpus = 1
	}
	if cfg.Console != "" {
		m.console = cfg.Console
	}
	if cfg.DiskMiB > 0 {
		m.disk = filepath.Join(dir, "disk")
		if err := makeDisk(ctx, m.disk, int64(cfg.DiskMiB)<<20); err != nil {
			return nil, err
		}
	}
	for i, path := range cfg.Shares {
		m.shares = append(m.shares, job.Share{Tag: "share" + strconv.Itoa(i), Path: path})
	}
	if err := parts.writeInitramfs(m.initramfs, guest); err != nil {
		return nil, err
	}
	if err := os.Mkdir(m.jobDir, 0o700); err != nil {
		return nil, err
	}
	b, err := json.Marshal(job.Job{
		Args:     cfg.Args,
		Env:      cfg.Env,
		WorkDir:  cfg.WorkDir,
		Keep:     []string{cfg.Args[0], moduleRoot(cfg.WorkDir)},
		Shares:   m.shares,
		Modules:  parts.modules(),
		Disk:     m.disk != "",
		Systemd:  cfg.Systemd,
		Terminal: cfg.Terminal,
	})
	if err != nil {
		return nil, err
	}
	return m, os.WriteFile(filepath.Join(m.jobDir, job.File), b, 0o600)
}

// moduleRoot returns the nearest directory above dir that holds a go.mod, or
// dir itself.
func moduleRoot(dir string) string {
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d
		}
	}
	return dir
}

// makeDisk makes a sparse file of size bytes with an empty ext4.
func makeDisk(ctx context.Context, path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", path).CombinedOutput(); err != nil {
		return fmt.Errorf("mke2fs: %w: %s", err, lastLines(string(out), 3))
	}
	return nil
}

// run runs QEMU until the VM ends.
func (m *machine) run(ctx context.Context, cfg Config) error {
	cmd := exec.CommandContext(ctx, filepath.Join(m.parts.dir, "qemu/usr/bin/qemu-system-x86_64"), m.args()...)
	cmd.Env = append(os.Environ(),
		"LD_LIBRARY_PATH="+m.parts.libraryPath(),
		"QEMU_MODULE_DIR="+filepath.Join(m.parts.dir, "qemu/usr/lib/x86_64-linux-gnu/qemu"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	var copies []func() error
	if m.terminal {
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	} else {
		for _, w := range []io.Writer{cfg.Stdout, cfg.Stderr} {
			if w == nil {
				w = io.Discard
			}
			r, end, err := os.Pipe()
			if err != nil {
				return err
			}
			defer r.Close()
			cmd.ExtraFiles = append(cmd.ExtraFiles, end)
			copies = append(copies, func() error {
				_, err := io.Copy(w, r)
				// When w takes no more, QEMU must not wait for a reader.
				_ = r.Close()
				return err
			})
		}
	}
	errs := make(chan error, len(copies)+1)
	started := make(chan bool)
	go func() {
		// The parent-death signal comes when the thread that started QEMU ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err == nil
		if err == nil {
			err = cmd.Wait()
		}
		var exit *exec.ExitError
		// isa-debug-exit ends QEMU with an odd code; a reboot ends it with 0.
		if errors.As(err, &exit) && exit.ExitCode() == job.ExitDone*2+1 {
			err = nil
		}
		if said := strings.TrimSpace(complaint.String()); said != "" && err != nil {
			err = fmt.Errorf("%w: %s", err, said)
		}
		errs <- err
	}()
	ok := <-started
	for _, f := range cmd.ExtraFiles {
		_ = f.Close() // QEMU has it
	}
	if !ok {
		return <-errs
	}
	for _, c := range copies {
		go func() { errs <- c() }()
	}
	var all []error
	for range len(copies) + 1 {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// readExitCode reads what PID 1 wrote last.
func readExitCode(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, job.ExitFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, errors.New("it ended before the command did")
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// consoleEnd is the last lines of a console, and all from a panic on: an
// interrupt in it makes its trace longer than they are.
func consoleEnd(s string) string {
	if i := strings.Index(s, "Kernel panic"); i >= 0 {
		return strings.TrimSpace(s[i:])
	}
	return lastLines(s, consoleLines)
}
