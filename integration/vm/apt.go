package vm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// apt runs apt with lists, cache and sources of its own below dir, so that the
// host's apt stays as it is. Only the list of installed packages is the
// host's: what is there need not be fetched.
type apt struct {
	dir     string
	release string // preferred target release: "bookworm-backports"
}

// mirror and keyring are Debian's; a mirror among the host's sources wins.
const (
	mirror  = "http://deb.debian.org/debian"
	keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	suite   = "bookworm"
)

func newApt(ctx context.Context, dir, release string) (*apt, error) {
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	uri := hostMirror(ctx)
	var sources strings.Builder
	suites := []string{suite}
	if release != suite {
		suites = append(suites, release)
	}
	for _, s := range suites {
		fmt.Fprintf(&sources, "deb [signed-by=%s] %s %s main\n", keyring, uri, s)
	}
	if err := os.WriteFile(filepath.Join(dir, "sources.list"), []byte(sources.String()), 0o644); err != nil {
		return nil, err
	}
	return &apt{dir: dir, release: release}, nil
}

// hostMirror returns the mirror from which the host gets Debian.
func hostMirror(ctx context.Context) string {
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages")
	out, err := cmd.Output()
	if err != nil {
		return mirror
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == suite && f[1] == "main" {
			return f[2]
		}
	}
	return mirror
}

// run runs an apt program and returns its output.
func (a *apt) run(ctx context.Context, workDir, program string, args ...string) (string, error) {
	options := []string{
		"-o", "Dir::Etc::SourceList=" + filepath.Join(a.dir, "sources.list"),
		"-o", "Dir::Etc::SourceParts=/dev/null",
		"-o", "Dir::Etc::Preferences=/dev/null",
		"-o", "Dir::Etc::PreferencesParts=/dev/null",
		"-o", "Dir::State::Lists=" + filepath.Join(a.dir, "lists"),
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		// _apt cannot write below a private cache directory.
		"-o", "APT::Sandbox::User=root",
		"-o", "Acquire::Languages=none",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-o", "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
		"-t", a.release, "-q",
	}
	cmd := exec.CommandContext(ctx, program, append(options, args...)...)
	cmd.Dir = workDir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, lastLines(stderr.String(), 5))
	}
	return stdout.String(), nil
}

func (a *apt) update(ctx context.Context) error {
	_, err := a.run(ctx, a.dir, "apt-get", "update")
	return err
}

// closure returns the packages, as NAME=VERSION, that would have to be
// installed for the named ones to work on this host, themselves included.
func (a *apt) closure(ctx context.Context, names ...string) ([]string, error) {
	args := append([]string{"--simulate", "--no-install-recommends", "--reinstall", "install"}, names...)
	out, err := a.run(ctx, a.dir, "apt-get", args...)
	if err != nil {
		return nil, err
	}
	return parseSimulation(out), nil
}

// parseSimulation reads the lines of apt-get --simulate:
//
//	Inst seabios [1.16.2-1] (1.16.3-2~bpo12+1 Debian Backports:… [all])
func parseSimulation(out string) []string {
	var pkgs []string
	for line := range strings.Lines(out) {
		rest, ok := strings.CutPrefix(line, "Inst ")
		if !ok {
			continue
		}
		name, rest, _ := strings.Cut(rest, " ")
		_, rest, ok = strings.Cut(rest, "(")
		version, _, _ := strings.Cut(rest, " ")
		if ok && version != "" {
			pkgs = append(pkgs, name+"="+version)
		}
	}
	return pkgs
}

// unpack downloads the packages and unpacks them into root.
func (a *apt) unpack(ctx context.Context, root string, pkgs ...string) error {
	debs, err := os.MkdirTemp(a.dir, "debs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(debs)
	if _, err := a.run(ctx, debs, "apt-get", append([]string{"download"}, pkgs...)...); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	if len(files) != len(pkgs) {
		return fmt.Errorf("apt-get download %q: %d files; want %d", pkgs, len(files), len(pkgs))
	}
	for _, deb := range files {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", deb, root).CombinedOutput(); err != nil {
			return fmt.Errorf("dpkg -x %q: %w: %s", filepath.Base(deb), err, lastLines(string(out), 5))
		}
	}
	return nil
}

// lastLines returns the last n lines of s.
func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
