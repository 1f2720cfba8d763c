package netsetup

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Program is one that podrt executes for what it does not link itself.
type Program struct {
	Name    string
	Env     string // name of the variable that says where it is
	Purpose string // what needs it, in the plural
}

// Find returns the path of the program: $Env, or the first that is there of one
// beside podrt, one in the directory to which "make install" puts it below podrt's
// prefix, in /usr/local/libexec/podrt, in /usr/libexec/podrt, and in PATH. The error
// says where it was looked for.
func (p Program) Find() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		exe = ""
	}
	return p.find(os.Getenv(p.Env), exe, os.Args[0])
}

// find is Find for a podrt that is executed as argv0, and is exe as /proc/self/exe
// has it.
func (p Program) find(env, exe, argv0 string) (string, error) {
	if env != "" {
		if err := executable(env); err != nil {
			return "", fmt.Errorf("$%s: %w", p.Env, err)
		}
		return env, nil
	}
	var tried []string
	for _, dir := range append(besides(exe, argv0), "/usr/local/libexec/podrt", "/usr/libexec/podrt") {
		path := filepath.Join(dir, p.Name)
		if slices.Contains(tried, path) {
			continue
		}
		if executable(path) == nil {
			return path, nil
		}
		tried = append(tried, path)
	}
	if path, err := exec.LookPath(p.Name); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("%s need the program %s, which is not at %q, nor in PATH; $%s can say where it is: %w",
		p.Purpose, p.Name, tried, p.Env, fs.ErrNotExist)
}

// besides returns the directories in which a program would be that was installed
// with this one.
func besides(exe, argv0 string) []string {
	if strings.HasPrefix(exe, "/memfd:") || strings.HasSuffix(exe, " (deleted)") || exe == "" {
		// A sealed copy of podrt, or one that was replaced: it still has its
		// name in its arguments.
		path, err := exec.LookPath(argv0)
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			return nil
		}
		exe = path
	}
	dir := filepath.Dir(exe)
	return []string{dir, filepath.Join(filepath.Dir(dir), "libexec", "podrt")}
}

// executable returns why path is no program.
func executable(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() || st.Mode()&0o111 == 0 {
		return &os.PathError{Op: "execute", Path: path, Err: syscall.EACCES}
	}
	return nil
}
