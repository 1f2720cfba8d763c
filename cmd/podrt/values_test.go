package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "1": 1, "1024": 1024, "1b": 1, "1k": 1024, "1K": 1024, "1kb": 1024, "1KiB": 1024,
		"1e3": 1000, "64m": 64 << 20, "1.5g": 3 << 29, "2 GiB": 2 << 30, "1t": 1 << 40, "1p": 1 << 50,
	} {
		if got, err := parseBytes(in); err != nil || got != want {
			t.Errorf("parseBytes(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "m", "-1", "1x", "1kk", "1 k b", "x1", "NaN", "Inf0", " 1", "9000000000g", "1.2.3"} {
		if got, err := parseBytes(in); err == nil {
			t.Errorf("parseBytes(%q) = %d; want an error", in, got)
		}
	}
}

func TestUpdateResources(t *testing.T) {
	o := updateOptions{memory: "1m", memorySwap: "-1", cpuQuota: "-1", cpuShare: "100", cpus: "0", blkioWeight: 10, pidsLimit: 7, pidsLimitDef: &flagDef{given: []string{"pids-limit"}}}
	u, err := o.update()
	if err != nil {
		t.Fatal(err)
	}
	r := u.Resources
	if *r.Memory.Limit != 1<<20 || *r.Memory.Swap != -1 || r.Memory.Reservation != nil ||
		*r.CPU.Quota != -1 || *r.CPU.Shares != 100 || r.CPU.Cpus != "0" || r.CPU.Period != nil ||
		*r.BlockIO.Weight != 10 || *r.Pids.Limit != 7 {
		t.Errorf("resources = %+v %+v %+v %+v", r.Memory, r.CPU, r.BlockIO, r.Pids)
	}
	for _, tt := range []struct {
		o    updateOptions
		want string
	}{
		{updateOptions{memory: "x"}, `invalid value for memory: invalid size: 'x'`},
		{updateOptions{cpuShare: "-1"}, `invalid value for cpu-share: strconv.ParseUint: parsing "-1": invalid syntax`},
		{updateOptions{cpuIdle: "x"}, `invalid value for cpu-idle: strconv.ParseInt: parsing "x": invalid syntax`},
	} {
		tt.o.pidsLimitDef = &flagDef{}
		if _, err := tt.o.update(); err == nil || err.Error() != tt.want {
			t.Errorf("update(%+v): error %v; want %s", tt.o, err, tt.want)
		}
	}
}

func TestUpdateFromFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.json")
	if err := os.WriteFile(file, []byte(`{"memory":{"limit":5,"checkBeforeUpdate":true}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	o := updateOptions{file: file, memory: "ignored"}
	u, err := o.update()
	if err != nil {
		t.Fatal(err)
	}
	if m := u.Resources.Memory; *m.Limit != 5 || !*m.CheckBeforeUpdate || u.Resources.CPU != nil {
		t.Errorf("resources = %+v", u.Resources)
	}
}

func TestPsSelect(t *testing.T) {
	const table = "UID   PID  PPID CMD\nroot    1     0 init 51\nroot   51     1 sh\nroot  510     1 x\n\n"
	got, err := psSelect(table, []int{51, 510})
	want := []string{"UID   PID  PPID CMD", "root   51     1 sh", "root  510     1 x"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("psSelect = %q, %v; want %q", got, err, want)
	}
	for in, want := range map[string]string{
		"UID CMD\n":               "couldn't find PID field in ps output",
		"UID PID CMD\nroot x y\n": "unable to parse pid: ",
	} {
		if _, err := psSelect(in, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("psSelect(%q): error %v; want %s", in, err, want)
		}
	}
}

func TestReadyLine(t *testing.T) {
	for in, want := range map[string]string{
		"READY=1": "READY=1", "STATUS=x\nREADY=1\nFOO=2": "READY=1", "STATUS=READY=1": "", "": "", "READY": "",
	} {
		if got := readyLine(in); got != want {
			t.Errorf("readyLine(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestWritePidFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pid")
	if err := os.WriteFile(path, []byte("an older and longer one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writePidFile(path, 4711); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "4711" {
		t.Errorf("pid file holds %q, %v; want 4711 and nothing else", b, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("directory holds %v, %v; want the pid file alone", entries, err)
	}
	// A device as good as another: /dev/null may be everybody's.
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := writePidFile(fifo, 4712); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if n, err := r.Read(b); err != nil || string(b[:n]) != "4712" {
		t.Errorf("read from a FIFO: %q, %v; want 4712", b[:n], err)
	}
	if st, err := os.Lstat(fifo); err != nil || st.Mode().IsRegular() {
		t.Errorf("the FIFO is %v, %v; want it left as it was", st.Mode(), err)
	}
	if err := writePidFile(filepath.Join(dir, "missing", "pid"), 1); err == nil {
		t.Error("writePidFile below a missing directory: no error")
	}
}

func TestPreservedFDs(t *testing.T) {
	// Descriptors of this process are close-on-exec: they were not passed to it.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd := int(r.Fd())
	files, err := preservedFDs(fd, 1)
	if err != nil || len(files) != 1 || files[0].Name() != os.DevNull || int(files[0].Fd()) == fd {
		t.Errorf("preservedFDs(%d, 1) = %v, %v; want %s", fd, files, err, os.DevNull)
	}
	for _, f := range files {
		f.Close()
	}
	if files, err := preservedFDs(fd, 0); err != nil || len(files) != 0 {
		t.Errorf("preservedFDs(%d, 0) = %v, %v; want none", fd, files, err)
	}
	const far = 100_000 // where nothing is open
	files, err = preservedFDs(far, maxMissing)
	if err != nil || len(files) != maxMissing {
		t.Errorf("preservedFDs(%d, %d) = %v, %v; want %d of %s", far, maxMissing, files, err, maxMissing, os.DevNull)
	}
	for _, f := range files {
		f.Close()
	}
	want := fmt.Sprintf("unable to stat preserved-fd 0 (of %d): no such file or directory", maxMissing+1)
	if files, err := preservedFDs(far, maxMissing+1); err == nil || err.Error() != want {
		t.Errorf("preservedFDs(%d, %d) = %v, %v; want %s", far, maxMissing+1, files, err, want)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "sh -c größe 日本": "sh -c größe 日本",
		"\x1b[2J\x07\x7f\t\n": "?[2J????", "\u009b2J": "?2J", "a\xffb": "a?b", "a\u202eb\u00a0": "a?b?",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q; want %q", in, got, want)
		}
	}
}
