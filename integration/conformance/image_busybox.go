package main

import (
	"fmt"
	"os/exec"
	"strings"
)

const busybox = "/bin/busybox"

// busyboxImage writes what the suite takes for Docker's busybox image: Debian's
// static busybox under the names of its applets, and an /etc as glibc's. Like
// that image it has no /proc and no /sys: the suite expects runtimes to make
// them.
func busyboxImage(path string) (retErr error) {
	applets, err := exec.Command(busybox, "--list").Output()
	if err != nil {
		return fmt.Errorf("list the applets of Debian's busybox-static: %w", err)
	}
	a, err := newArchive(path)
	if err != nil {
		return err
	}
	defer func() { retErr = a.close(retErr) }()
	for _, d := range []struct {
		name string
		mode int64
	}{
		{"bin", 0o755},
		{"dev", 0o755},
		{"etc", 0o755},
		{"etc/network", 0o755},
		{"home", 0o755},
		{"lib", 0o755},
		{"root", 0o700},
		{"tmp", 0o1777},
		{"usr", 0o755},
		{"usr/bin", 0o755},
		{"usr/sbin", 0o755},
		{"var", 0o755},
		{"var/spool", 0o755},
		{"var/spool/mail", 0o755},
		{"var/www", 0o755},
	} {
		if err := a.dir(d.name, d.mode); err != nil {
			return err
		}
	}
	for name, content := range etcFiles {
		if err := a.text("etc/"+name, 0o644, content); err != nil {
			return err
		}
	}
	if err := a.copy("bin/busybox", busybox); err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(applets)) {
		if name == "busybox" {
			continue
		}
		if err := a.link("bin/"+name, "bin/busybox"); err != nil {
			return err
		}
	}
	return a.symlink("usr/bin/env", "../../bin/env")
}

var etcFiles = map[string]string{
	"passwd": `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`,
	"group": `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
wheel:x:10:root
utmp:x:43:
staff:x:50:
users:x:100:
nogroup:x:65534:
`,
	"shadow": `root:*:10933:0:99999:7:::
daemon:*:10933:0:99999:7:::
nobody:*:10933:0:99999:7:::
`,
	"nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
}
