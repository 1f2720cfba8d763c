package nsenter

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// runSandbox executes the sandbox process with a config file and returns its
// report, its standard error and how it ended.
func runSandbox(t *testing.T, config []byte, env ...string) (report []byte, stderr string, err error) {
	t.Helper()
	file, err := memfd("config", config)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out bytes.Buffer
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Env = env
	cmd.ExtraFiles = []*os.File{file, w}
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	report, err = io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	return report, out.String(), err
}

// The reader of the config believes nothing. None of these gets as far as to
// need root.
func TestMalformedConfig(t *testing.T) {
	cfg := Config{Kinds: []Kind{UTS}, Hostname: "pod"}
	good, err := cfg.encode([]setting{{"net.a", "net/a", "1"}})
	if err != nil {
		t.Fatal(err)
	}
	n := binary.NativeEndian
	// With these records, and a header that fits.
	with := func(records ...[]byte) []byte {
		b := bytes.Join(append([][]byte{good[:configHeaderSize:configHeaderSize]}, records...), nil)
		n.PutUint32(b[4:], uint32(len(b)))
		return b
	}
	change := func(at int, v uint32) []byte {
		b := bytes.Clone(good)
		n.PutUint32(b[at:], v)
		return b
	}
	pinDir := appendNumber(nil, recordPinDir, pinDirFD)
	for _, c := range []struct {
		what   string
		config []byte
		want   string
		stderr bool // where there is no report to write to
	}{
		{"empty", nil, "not a config", true},
		{"short", good[:11], "not a config", true},
		{"no magic", change(0, 1), "not a config", true},
		{"too long a header", change(4, uint32(len(good)+1)), "length differs", true},
		{"cut", good[:len(good)-1], "length differs", true},
		{"more behind", append(bytes.Clone(good), 0), "length differs", true},
		{"half a record header", with(pinDir, []byte{1, 2, 3}), "a record exceeds", false},
		{"payload longer than the config", with(pinDir, appendHeader(nil, recordHostname, 1)), "a record exceeds", false},
		{"payload of almost 4 GiB", with(n.AppendUint32(n.AppendUint32(nil, recordHostname), 0xffffffff)), "a record exceeds", false},
		{"unknown record", with(pinDir, appendNumber(nil, 77, 1)), "type 77 is malformed", false},
		{"short number", with(append(appendHeader(nil, recordFlags, 2), 1, 2)), "malformed", false},
		{"long number", with(append(appendHeader(nil, recordFlags, 5), 1, 2, 3, 4, 5)), "malformed", false},
		{"string without an end", with(append(appendHeader(nil, recordHostname, 3), "pod"...)), "malformed", false},
		{"empty payload of a string", with(appendHeader(nil, recordHostname, 0)), "malformed", false},
		{"string with a NUL inside", with(append(appendHeader(nil, recordHostname, 4), "p\x00d\x00"...)), "malformed", false},
		{"sysctl of two strings", with(appendStrings(nil, recordSysctl, "a", "b")), "malformed", false},
		{"sysctl of four strings", with(appendStrings(nil, recordSysctl, "a", "b", "c", "d")), "malformed", false},
		{"no pin directory", with(), "no pin directory", false},
	} {
		report, stderr, err := runSandbox(t, c.config, "_PODRT_SANDBOX=3")
		got := stderr
		if !c.stderr {
			r, err := parseReport(report, "/d")
			if err != nil || r.err == nil {
				t.Errorf("%s: report %q, %v; want an error in it", c.what, report, err)
				continue
			}
			got = r.err.Error()
		}
		if err == nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: %v, %q; want an error with %q", c.what, err, got, c.want)
		}
	}
}

// The constructor takes over for its own variable alone.
func TestConstructorVariable(t *testing.T) {
	for _, c := range []struct {
		what string
		env  []string
		runs bool // Go does
		want string
	}{
		{"unset", nil, true, ""},
		{"no number", []string{"_PODRT_SANDBOX=x"}, false, "invalid _PODRT_SANDBOX=x"},
		{"trailing", []string{"_PODRT_SANDBOX=3x"}, false, "invalid _PODRT_SANDBOX=3x"},
		{"empty", []string{"_PODRT_SANDBOX="}, false, "invalid _PODRT_SANDBOX="},
		{"standard stream", []string{"_PODRT_SANDBOX=2"}, false, "invalid"},
		{"huge", []string{"_PODRT_SANDBOX=99999999999"}, false, "invalid"},
		{"not open", []string{"_PODRT_SANDBOX=99"}, false, "Bad file descriptor"},
		{"libcontainer's", []string{"_PODRT_SANDBOX=3", "_LIBCONTAINER_INITPIPE=4"}, true, ""},
	} {
		_, stderr, err := runSandbox(t, nil, append(c.env, helperEnv+"=env")...)
		if runs := err == nil; runs != c.runs || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %v, %q; want Go to run: %v, and %q", c.what, err, stderr, c.runs, c.want)
		}
	}
}
