package netsetup

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// testHost is a host with the given files; empty ones do not exist.
func testHost(t *testing.T, hosts, resolv, upstream string) host {
	t.Helper()
	dir := t.TempDir()
	h := host{hosts: dir + "/hosts", resolv: dir + "/resolv.conf", upstream: dir + "/upstream"}
	for path, content := range map[string]string{h.hosts: hosts, h.resolv: resolv, h.upstream: upstream} {
		if content == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// wantFiles checks the content of all three files in dir.
func wantFiles(t *testing.T, dir, hostname, hosts, resolv string) {
	t.Helper()
	for name, want := range map[string]string{HostnameFile: hostname, HostsFile: hosts, ResolvFile: resolv} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v; want %q", name, got, err, want)
		}
	}
}

const ownHosts = "# Written by podrt.\n" + localHosts

func TestWriteFiles(t *testing.T) {
	const (
		hostHosts = "127.0.0.1 localhost\n10.9.9.9 bank\n"
		stub      = "nameserver 127.0.0.53\noptions edns0\n"
		upstream  = "nameserver 10.0.0.53\nsearch corp.example\n"
	)
	none := "# No server is given, or can be reached from this network.\n"
	for _, tt := range []struct {
		name          string
		f             Files
		host          [3]string // hosts, resolv.conf, upstream
		hosts, resolv string
	}{
		{
			"own network",
			Files{Mode: Mode{Kind: None}},
			[3]string{hostHosts, "nameserver 10.1.1.1\nnameserver 127.0.0.1\nsearch a b\noptions rotate\n", upstream},
			ownHosts + "127.0.0.1\tweb\n", "# Written by podrt.\nsearch a b\nnameserver 10.1.1.1\noptions rotate\n",
		},
		{
			"behind systemd-resolved",
			Files{Mode: Mode{Kind: None}},
			[3]string{"", stub, upstream},
			ownHosts + "127.0.0.1\tweb\n", "# Written by podrt.\nsearch corp.example\nnameserver 10.0.0.53\n",
		},
		{
			"stub without upstream",
			Files{Mode: Mode{Kind: None}},
			[3]string{"", stub, ""},
			ownHosts + "127.0.0.1\tweb\n", "# Written by podrt.\n" + none + "options edns0\n",
		},
		{
			"stub and another",
			Files{Mode: Mode{Kind: None}},
			[3]string{"", stub + "nameserver 10.1.1.1\n", upstream},
			ownHosts + "127.0.0.1\tweb\n", "# Written by podrt.\nnameserver 10.1.1.1\noptions edns0\n",
		},
		{
			"host without files",
			Files{Mode: Mode{Kind: None}},
			[3]string{},
			ownHosts + "127.0.0.1\tweb\n", "# Written by podrt.\n" + none,
		},
		{
			"all given",
			Files{
				Mode: Mode{Kind: None}, Domainname: "example.org", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")},
				HostAliases: []HostAlias{{"1.2.3.4", []string{"alias"}}},
				DNS:         DNS{[]string{"127.0.0.1"}, []string{"s"}, []string{"ndots:5"}},
			},
			[3]string{hostHosts, stub, upstream},
			ownHosts + "10.0.0.2\tweb.example.org\tweb\n\n# Entries of hostAliases.\n1.2.3.4\talias\n",
			"# Written by podrt.\nsearch s\nnameserver 127.0.0.1\noptions ndots:5\n",
		},
		{
			"one list given",
			Files{Mode: Mode{Kind: None}, DNS: DNS{Searches: []string{"s"}}},
			[3]string{"", stub, upstream},
			ownHosts + "127.0.0.1\tweb\n", "# Written by podrt.\nsearch s\nnameserver 10.0.0.53\n",
		},
		{
			"host",
			Files{Mode: Mode{Kind: Host}},
			[3]string{hostHosts, "# as it is\n" + stub, upstream},
			hostHosts + "127.0.0.1\tweb\n", "# as it is\n" + stub,
		},
		{
			"host with the name",
			Files{Mode: Mode{Kind: Host}},
			[3]string{hostHosts + "10.1.1.1 web\n", stub, upstream},
			hostHosts + "10.1.1.1 web\n", stub,
		},
		{
			"host with options",
			Files{Mode: Mode{Kind: Host}, DNS: DNS{Options: []string{"ndots:2"}}},
			[3]string{"", stub, upstream},
			"127.0.0.1\tweb\n", "# Written by podrt.\nnameserver 127.0.0.53\noptions ndots:2\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.f.Hostname = "web"
			if err := writeFiles(dir, tt.f, testHost(t, tt.host[0], tt.host[1], tt.host[2])); err != nil {
				t.Fatal(err)
			}
			wantFiles(t, dir, "web\n", tt.hosts, tt.resolv)
		})
	}
}

func TestWriteFilesOfJoiningPod(t *testing.T) {
	h := testHost(t, "127.0.0.1 localhost\n", "nameserver 10.1.1.1\n", "")
	theirs, ours := t.TempDir(), t.TempDir()
	f := Files{Mode: Mode{Kind: None}, Hostname: "web", DNS: DNS{Servers: []string{"10.5.5.5"}}}
	if err := writeFiles(theirs, f, h); err != nil {
		t.Fatal(err)
	}
	const resolv = "# Written by podrt.\nnameserver 10.5.5.5\n"
	f = Files{Mode: Mode{Kind: Container, Pod: "web"}, Hostname: "side", PodDir: theirs}
	if err := writeFiles(ours, f, h); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, ours, "side\n", ownHosts+"127.0.0.1\tweb\n127.0.0.1\tside\n", resolv)

	f.PodDir = theirs + "/gone"
	if err := writeFiles(ours, f, h); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), f.PodDir+"/hosts") {
		t.Errorf("files of a missing pod: %v; want an error that names %s", err, f.PodDir)
	}
	f.PodDir = ""
	if err := writeFiles(ours, f, h); err == nil || !strings.Contains(err.Error(), `network.mode "container:web": the directory of the pod's files is not known`) {
		t.Errorf("files without the pod's directory: %v", err)
	}
}

// TestWriteFilesOfHostilePod: the containers of the other pod have its files, too,
// and can make of them what they want.
func TestWriteFilesOfHostilePod(t *testing.T) {
	h := testHost(t, "", "", "")
	for _, name := range []string{HostsFile, ResolvFile} {
		for what, spoil := range map[string]func(*os.File) error{
			"large": func(file *os.File) error { return file.Truncate(64 << 20) },
			// Whoever opens it would wait for fs.lease-break-time.
			"leased": func(file *os.File) error {
				_, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK)
				return err
			},
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				theirs, ours := t.TempDir(), t.TempDir()
				if err := writeFiles(theirs, Files{Mode: Mode{Kind: None}, Hostname: "web"}, h); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(theirs, name)
				file, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				if err := spoil(file); err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err = writeFiles(ours, Files{Mode: Mode{Kind: Container, Pod: "web"}, Hostname: "side", PodDir: theirs}, h)
				if err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("files of the joining pod: %v; want an error that names %s", err, path)
				}
				if took := time.Since(start); took > 20*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}

func TestWriteFilesErrors(t *testing.T) {
	h := testHost(t, "", "", "")
	ok := Files{Mode: Mode{Kind: None}, Hostname: "web"}
	for _, tt := range []struct {
		change func(*Files)
		want   string
	}{
		{func(f *Files) { f.Mode = Mode{} }, `network.mode "" is not supported`},
		{func(f *Files) { f.Hostname = "a b" }, `hostname "a b" contains ' '`},
		{func(f *Files) { f.Domainname = "a b" }, `domainname "a b" contains ' '`},
		{func(f *Files) { f.DNS.Servers = []string{"x"} }, `dns.servers[0] "x" is not an IP address`},
		{func(f *Files) { f.HostAliases = []HostAlias{{IP: "x"}} }, `hostAliases[0].ip "x" is not an IP address`},
	} {
		f, dir := ok, t.TempDir()
		tt.change(&f)
		if err := writeFiles(dir, f, h); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("writeFiles(%+v) = %v; want error %q", f, err, tt.want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("writeFiles(%+v) left %v, %v; want nothing", f, left, err)
		}
	}
	missing := t.TempDir() + "/missing"
	if err := writeFiles(missing, ok, h); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), `write pod file "`+missing+`/hostname"`) {
		t.Errorf("writeFiles into a missing directory: %v", err)
	}
}

// A container that has the file open or bound sees the change; the mode is
// right whatever the umask, and what a SIGKILL left does not matter.
func TestWriteFilesKeepsInodes(t *testing.T) {
	h := testHost(t, "", "nameserver 10.1.1.1\n", "")
	dir := t.TempDir()
	defer unix.Umask(unix.Umask(0o077))
	for _, name := range []string{HostnameFile, HostsFile, ResolvFile} {
		if err := os.WriteFile(filepath.Join(dir, "."+name+".tmp"), []byte(strings.Repeat("left by a SIGKILL", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := Files{Mode: Mode{Kind: None}, Hostname: "web"}
	f.HostAliases = []HostAlias{{"1.2.3.4", []string{strings.Repeat("long-", 11) + "name"}}}
	if err := writeFiles(dir, f, h); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("in the directory: %v, %v; want the three files", entries, err)
	}
	var before []os.FileInfo
	for _, e := range entries {
		st, err := e.Info()
		if err != nil || st.Mode() != 0o644 {
			t.Errorf("mode of %s = %v, %v; want 0644", e.Name(), st.Mode(), err)
		}
		before = append(before, st)
	}
	for _, tt := range []struct{ hostname, alias string }{{"w", ""}, {"a-longer-name", "x"}, {"web", ""}} {
		f.Hostname, f.HostAliases = tt.hostname, nil
		want := ownHosts + "127.0.0.1\t" + tt.hostname + "\n"
		if tt.alias != "" {
			f.HostAliases = []HostAlias{{"1.2.3.4", []string{tt.alias}}}
			want += "\n# Entries of hostAliases.\n1.2.3.4\t" + tt.alias + "\n"
		}
		if err := writeFiles(dir, f, h); err != nil {
			t.Fatal(err)
		}
		wantFiles(t, dir, tt.hostname+"\n", want, "# Written by podrt.\nnameserver 10.1.1.1\n")
	}
	for _, st := range before {
		if now, err := os.Lstat(filepath.Join(dir, st.Name())); err != nil || !os.SameFile(st, now) {
			t.Errorf("%s is another file than before (%v)", st.Name(), err)
		}
	}
}

// A symlink in place of a file is nothing that we made.
func TestWriteFilesFollowsNoSymlink(t *testing.T) {
	dir := t.TempDir()
	victim := t.TempDir() + "/victim"
	if err := os.WriteFile(victim, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, dir+"/hosts"); err != nil {
		t.Fatal(err)
	}
	if err := writeFiles(dir, Files{Mode: Mode{Kind: None}, Hostname: "web"}, testHost(t, "", "", "")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("writeFiles over a symlink: %v; want ELOOP", err)
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "precious" {
		t.Errorf("the symlink's target holds %q, %v; want it unchanged", got, err)
	}
}

// Without space a new file does not appear, and an old one stays whole.
func TestWriteFilesOnFullDisk(t *testing.T) {
	rung.Privileged(t)
	page := os.Getpagesize()
	h := testHost(t, "", "", "")
	for pages := 1; ; pages++ { // at every file in turn
		if pages > 5 {
			t.Fatal("5 pages are not enough")
		}
		dir := t.TempDir()
		if err := unix.Mount("full", dir, "tmpfs", 0, fmt.Sprintf("size=%d", pages*page)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(dir, 0); err != nil {
				t.Error(err)
			}
		})
		f := Files{Mode: Mode{Kind: None}, Hostname: "web"}
		err := writeFiles(dir, f, h)
		if err != nil {
			if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), `write pod file "`+dir+"/") {
				t.Errorf("with %d pages: %v; want ENOSPC and the file's name", pages, err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != pages {
				t.Errorf("with %d pages: %v, %v are there; want as many files", pages, entries, err)
			}
			continue
		}
		if pages == 1 {
			t.Error("one page was enough for three files")
		}
		// Full now. A hosts file of two pages does not fit, and must not
		// spoil the one that is there.
		for i := range page/200 + 1 {
			f.HostAliases = append(f.HostAliases, HostAlias{"1.2.3.4", []string{fmt.Sprintf("n%d.%s.%s.%s", i, strings.Repeat("x", 60), strings.Repeat("y", 60), strings.Repeat("z", 60))}})
		}
		err = writeFiles(dir, f, h)
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), dir+"/hosts") {
			t.Errorf("growing hosts on a full disk: %v; want ENOSPC and its name", err)
		}
		resolv, _ := Files{Mode: Mode{Kind: None}, Hostname: "web"}.resolv(h)
		wantFiles(t, dir, "web\n", ownHosts+"127.0.0.1\tweb\n", resolv)
		return
	}
}
