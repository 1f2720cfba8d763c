package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// debianPackages are what the Debian image is made of, from this host's own
// files: what the suite calls in it (bash, stat, findmnt, chrt, ionice,
// ldconfig), and the libraries of these.
var debianPackages = []string{
	"base-files", "base-passwd",
	"bash", "coreutils", "dash", "debianutils", "findutils", "grep", "hostname", "libc-bin", "mount", "sed", "util-linux",
	"libacl1", "libattr1", "libaudit1", "libblkid1", "libc6", "libcap-ng0", "libcap2", "libcrypt1", "libgcrypt20", "libgmp10",
	"libgpg-error0", "liblz4-1", "liblzma5", "libmount1", "libpam0g", "libpcre2-8-0", "libselinux1", "libsmartcols1",
	"libsystemd0", "libtinfo6", "libudev1", "libuuid1", "libzstd1", "zlib1g",
}

// debianOmit is what no program of the image reads.
var debianOmit = []string{
	"/usr/share/bash-completion", "/usr/share/bug", "/usr/share/doc", "/usr/share/doc-base", "/usr/share/info", "/usr/share/lintian",
	"/usr/share/locale", "/usr/share/man", "/usr/share/menu", "/usr/lib/systemd", "/usr/lib/x86_64-linux-gnu/gconv", "/usr/sbin/update-passwd",
}

// mergedDirs are links to their namesakes in /usr on Debian.
var mergedDirs = []string{"bin", "lib", "lib32", "lib64", "libx32", "sbin"}

// debianImage writes what the suite takes for the Debian image.
func debianImage(path string) (retErr error) {
	files, err := debianFiles()
	if err != nil {
		return err
	}
	a, err := newArchive(path)
	if err != nil {
		return err
	}
	defer func() { retErr = a.close(retErr) }()
	for _, dir := range mergedDirs {
		if target, err := os.Readlink("/" + dir); err == nil {
			if err := a.symlink(dir, target); err != nil {
				return err
			}
		}
	}
	for _, f := range files {
		if err := a.copy(f[1:], f); errors.Is(err, fs.ErrNotExist) {
			continue // a package's file that this host's owner removed, documentation in the main
		} else if err != nil {
			return err
		}
	}
	// Made by base-passwd and dash when they are installed.
	for name, from := range map[string]string{"etc/passwd": "passwd.master", "etc/group": "group.master"} {
		if err := a.copy(name, "/usr/share/base-passwd/"+from); err != nil {
			return err
		}
	}
	if slices.Contains(files, "/usr/bin/sh") {
		return nil
	}
	return a.symlink("usr/bin/sh", "dash")
}

// debianFiles lists the paths of the packages' files, directories first,
// without links in their directories.
func debianFiles() ([]string, error) {
	out, err := exec.Command("dpkg", append([]string{"-L"}, debianPackages...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("list the files of Debian's packages: %w", err)
	}
	var files []string
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		if path == "" || path == "/." || !filepath.IsAbs(path) {
			continue // dpkg's remarks about diversions
		}
		top, _, deep := strings.Cut(path[1:], "/")
		if slices.Contains(mergedDirs, top) {
			if !deep {
				continue
			}
			path = "/usr" + path
		}
		omit := func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }
		if !slices.ContainsFunc(debianOmit, omit) {
			files = append(files, path)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}
