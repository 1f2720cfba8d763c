package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// peerEnv is the path of runc, of the version that podrt's libcontainer is from.
const peerEnv = "PODRT_PEER"

// specRow is one thing that config.json can say: the container that it makes
// prints what it sees, or is refused. What podrt and runc come to must be the
// same to the byte, and what is wanted here.
type specRow struct {
	name   string
	spec   func(*specs.Spec)
	script string           // sh -c; empty leaves the command to spec
	want   string           // standard output, without space at the ends
	err    string           // what a refusal says, behind "create failed: "; or a part of it that begins with ...
	adds   string           // what podrt says at the end of its refusal, and runc does not
	code   int              // exit code; 0 with err is 1
	before func(*testing.T) // each of the two runs
}

// specBench is a bundle for rows, and the two runtimes.
type specBench struct {
	dir, bundle string
	peer        string
}

// newSpecBench makes a bundle below a directory of the test's, which everybody
// can walk to. Without vm the rows run natively only: a row of the VM takes a
// second and more.
func newSpecBench(t *testing.T, vm bool) *specBench {
	t.Helper()
	rung.Privileged(t)
	if !vm {
		nativeOnly(t)
	}
	b := &specBench{dir: t.TempDir(), peer: os.Getenv(peerEnv)}
	if _, err := os.Stat(b.peer); err != nil {
		t.Fatalf("%s: %v; make bin/tools/runc builds it", peerEnv, err)
	}
	b.bundle = filepath.Join(b.dir, "bundle")
	for _, dir := range []string{filepath.Dir(b.dir), b.dir} {
		if err := os.Chmod(dir, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	if err := bundle.Root(filepath.Join(b.bundle, "rootfs")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"proc", "sys", "dev", "m", "mnt"} {
		if err := os.Mkdir(filepath.Join(b.bundle, "rootfs", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// run runs the rows. The names in a row's texts: $DIR is the test's directory.
func (b *specBench) run(t *testing.T, rows []specRow) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b.write(t, row)
			var results [2]specResult
			for i, bin := range []string{os.Getenv(binEnv), b.peer} {
				if row.before != nil {
					row.before(t)
				}
				results[i] = b.call(t, bin)
			}
			ours, theirs := results[0], results[1]
			if row.adds != "" && strings.Contains(ours.log, row.adds) {
				ours.log, ours.stderr = strings.ReplaceAll(ours.log, row.adds, ""), strings.ReplaceAll(ours.stderr, row.adds, "")
			} else if row.adds != "" {
				t.Errorf("says %q; want %q in it", ours.log, row.adds)
			}
			if ours != theirs {
				t.Errorf("podrt and runc differ:\npodrt: %+v\nrunc:  %+v", ours, theirs)
			}
			want := strings.ReplaceAll(row.want, "$DIR", b.dir)
			if got := strings.TrimSpace(ours.stdout); got != want {
				t.Errorf("prints %q; want %q; standard error %q", got, want, ours.stderr)
			}
			code := row.code
			if row.err != "" && code == 0 {
				code = 1
			}
			if ours.code != code {
				t.Errorf("exit code %d; want %d; standard error %q", ours.code, code, ours.stderr)
			}
			message, refused := strings.CutPrefix(strings.TrimSpace(ours.stderr), "RT run failed: ")
			wantErr := strings.ReplaceAll(row.err, "$DIR", b.dir)
			part, isPart := strings.CutPrefix(wantErr, "...")
			if refused != (row.err != "") || !isPart && refused && message != wantErr || !strings.Contains(message, part) {
				t.Errorf("refused with %q; want %q", message, wantErr)
			}
		})
	}
}

func (b *specBench) write(t *testing.T, row specRow) {
	t.Helper()
	s := bundle.Spec("sh", "-c", row.script)
	if row.spec != nil {
		row.spec(s)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.bundle, "config.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// specResult is what a runtime came to, with its own names taken out.
type specResult struct {
	stdout, stderr string
	code           int
	log            string // messages of level error; podrt has no others
}

// numbers are those that differ from one run to the next: of processes and
// descriptors, and addresses.
var numbers = regexp.MustCompile(`(/proc/|/fd/|nsexec\[|nsexec-\d\[)\d+|0x[0-9a-f]{6,}`)

func (b *specBench) call(t *testing.T, bin string) specResult {
	t.Helper()
	log := filepath.Join(b.dir, "log.json")
	_ = os.Remove(log)
	cmd := exec.Command(bin, "--root", filepath.Join(b.dir, "state"), "--log", log, "--log-format", "json", "run", "--bundle", "bundle", "c1")
	cmd.Dir = b.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	name := filepath.Base(bin)
	neutral := func(s string) string {
		return numbers.ReplaceAllString(strings.ReplaceAll(s, name+" run failed", "RT run failed"), "${1}N")
	}
	r := specResult{stdout: stdout.String(), stderr: neutral(stderr.String()), code: cmd.ProcessState.ExitCode()}
	data, _ := os.ReadFile(log)
	for line := range strings.Lines(string(data)) {
		var l struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Errorf("%s: log line %q: %v", bin, line, err)
		}
		if l.Level == "error" || name == "podrt" {
			r.log += neutral(l.Msg) + "\n"
		}
	}
	return r
}
