package nsenter

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"reflect"
	"syscall"
	"testing"
)

func TestParseReport(t *testing.T) {
	n := binary.NativeEndian
	record := func(kind uint32, payload string) string {
		return string(n.AppendUint32(n.AppendUint32(nil, kind), uint32(len(payload)))) + payload
	}
	pin := string(n.AppendUint64(n.AppendUint64(n.AppendUint32(n.AppendUint32(nil, Net.flag()), 0), 4), 4026532000))
	pod := string(n.AppendUint64(n.AppendUint32(n.AppendUint32(nil, 42), 0), 1234))
	fail := string(n.AppendUint32(nil, 2)) + "write sysctl\x00net.foo\x00\x00"
	netPin := Pin{Net, "/d/net", 4, 4026532000}
	for _, c := range []struct {
		what string
		in   string
		want *report
	}{
		{"nothing", "", &report{}},
		{
			"all", record(reportPin, pin) + record(reportInit, pod) + record(reportDone, ""),
			&report{pins: []Pin{netPin}, initPID: 42, initStart: 1234, done: true},
		},
		{"cut in a payload", record(reportPin, pin) + record(reportInit, pod)[:20], &report{pins: []Pin{netPin}}},
		{"cut in a header", record(reportPin, pin) + record(reportInit, pod)[:7], &report{pins: []Pin{netPin}}},
		{"error", record(reportError, fail), &report{err: &Error{Step: "write sysctl", Object: "net.foo", Errno: syscall.ENOENT}}},
		{"unknown", record(99, ""), nil},
		{"short pin", record(reportPin, pin[:20]), nil},
		{"pin of no kind", record(reportPin, "\x00\x00\x00\x00"+pin[4:]), nil},
		{"short init", record(reportInit, "1234"), nil},
		{"error without strings", record(reportError, "\x02\x00\x00\x00"), nil},
		{"error with a string too many", record(reportError, fail+"x\x00"), nil},
		{"error without an end", record(reportError, fail+"x"), nil},
		{"long done", record(reportDone, "x"), nil},
	} {
		got, err := parseReport([]byte(c.in), "/d")
		if c.want == nil {
			if err == nil {
				t.Errorf("%s: parseReport = %+v; want an error", c.what, got)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: parseReport = %+v, %v; want %+v", c.what, got, err, c.want)
		}
	}
}

func TestReportResult(t *testing.T) {
	cfg := Config{Kinds: []Kind{Net}}
	pins := []Pin{{Net, "/d/net", 4, 5}}
	for _, c := range []struct {
		what  string
		r     report
		ended string
		err   string
	}{
		{"good", report{pins: pins, done: true}, "", ""},
		{"no report", report{}, "", `run "sandbox process": ended without a report`},
		{"killed", report{pins: pins}, "killed by signal SIGKILL", `run "sandbox process": killed by signal SIGKILL`},
		{"killed at the end", report{pins: pins, done: true}, "killed by signal SIGKILL", "killed"},
		{"error", report{err: &Error{Step: "unshare", Object: "net", Errno: syscall.EPERM}}, "exited with status 1", `unshare "net": operation not permitted`},
		{"too little", report{done: true}, "", "did not do"},
		{"too much", report{pins: pins, initPID: 3, done: true}, "", "did not do"},
	} {
		if _, err := c.r.result(&cfg, c.ended); !matches(err, c.err) {
			t.Errorf("%s: result = %v; want %q", c.what, err, c.err)
		}
	}
}

func TestError(t *testing.T) {
	for _, c := range []struct {
		err  Error
		want string
	}{
		{Error{Step: "write sysctl", Object: "net.foo", Errno: syscall.ENOENT}, `write sysctl "net.foo": no such file or directory`},
		{Error{Step: "read back sysctl", Object: "net.x", Detail: `wanted "1", got "0"`}, `read back sysctl "net.x": wanted "1", got "0"`},
		{Error{Step: "report", Errno: syscall.EPIPE}, `report: broken pipe`},
		{Error{Step: "unshare", Object: "net", Errno: syscall.ENOSPC}, `unshare "net": no space left on device (the limit is in /proc/sys/user/max_net_namespaces)`},
		{Error{Step: "unshare", Object: "time", Errno: syscall.EINVAL}, `unshare "time": invalid argument (not supported by this kernel)`},
		{Error{Step: "open", Object: "/proc/sys", Errno: syscall.EXDEV}, `open "/proc/sys": invalid cross-device link (something is mounted over it)`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("Error() = %s; want %s", got, c.want)
		}
	}
	var err error = &Error{Step: "make pin", Object: "/x", Errno: syscall.EEXIST}
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("errors.Is(%v, fs.ErrExist) = false; want true", err)
	}
	if errors.Is(&Error{Step: "x", Detail: "y"}, syscall.Errno(0)) {
		t.Error("an error without errno wraps one")
	}
}
