package contract

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// argumentsEnv is the number of random command lines; there are few in CI.
const argumentsEnv = "PODRT_CONTRACT_ARGUMENTS"

// words are arguments that mean something to some parser; odd ones could be
// flags.
var (
	words = []string{"c1", "c1", "c1", "", "-", "=", "9", "KILL", "SIGTERM", "a/b", "..", "x=y", "true", "0x10", "1e3", "99999999999999999999", "json", "help", "h"}
	odd   = []string{"--", "---", "-=", "--=x", "-9", "-1", "-x", "--nope", "-nope=1", "-h", "--help", "-v", "--version", "--root"}
)

// line is a random command line that can start nothing: neither a container nor
// a bundle is where it may look.
type line struct {
	*rand.Rand
	args []string
}

func (l *line) one(of []string) string { return of[l.IntN(len(of))] }

// flag adds a flag of the table, sometimes with an odd value.
func (l *line) flag(table string) {
	forms := parseFlags(table)
	if len(forms) == 0 {
		return
	}
	form := forms[l.IntN(len(forms))]
	ways := form.ways()
	way := ways[l.IntN(len(ways))]
	name, _, _ := strings.Cut(way[0], "=")
	switch n := l.IntN(12); {
	case n == 0:
		way = []string{name + "=" + l.one(words)}
	case n == 1:
		way = []string{name + "=" + l.one(odd)}
	case n == 2 && form.value != "":
		way = []string{name, l.one(words)}
	}
	l.args = append(l.args, way...)
}

func randomLine(r *rand.Rand) []string {
	l := &line{Rand: r}
	for range r.IntN(3) {
		l.flag(globalFlags)
	}
	if r.IntN(12) == 0 {
		l.args = append(l.args, l.one(append(words, odd...)))
	}
	verbs := slices.Sorted(maps.Keys(verbFlags))
	verb := l.one(verbs)
	l.args = append(l.args, verb)
	// Arguments, with a word among them that may be an unknown flag, after the
	// flags or before: see doc.go on what runc makes of other orders.
	flags, args := r.IntN(4), r.IntN(4)
	before := r.IntN(3) == 0
	for range args {
		if before {
			l.args = append(l.args, l.one(words))
		}
	}
	for range flags {
		l.flag(verbFlags[verb])
	}
	if before {
		return l.args
	}
	if r.IntN(3) == 0 {
		l.args = append(l.args, l.one(odd))
	}
	for range args {
		l.args = append(l.args, l.one(words))
	}
	return l.args
}

// answer is how a command line ends: the exit code, the message, and whether
// help came before it.
type answer struct {
	code   int
	stderr string
	help   string // first line of standard output
}

func ask(bin, dir string, line []string) (answer, error) {
	cmd := exec.Command(bin, line...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return answer{}, err
	}
	clean := strings.NewReplacer(bin, "PROG", dir, "DIR", "podrt", "runc", `\n"`, `"`)
	a := answer{code: cmd.ProcessState.ExitCode(), stderr: jsonCode.ReplaceAllString(withoutPlaces(withoutTimes(clean.Replace(stderr.String()))), "")}
	a.help, _, _ = strings.Cut(clean.Replace(stdout.String()), "\n")
	a.help, _, _ = strings.Cut(a.help, "+runc.") // podrt's own version, after runc's
	return a, nil
}

// TestArguments gives random command lines to podrt and to runc.
func TestArguments(t *testing.T) {
	nativeOnly(t)
	rung.Privileged(t)
	n := 200
	if s := os.Getenv(argumentsEnv); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "runc")
	if err := os.Symlink(os.Getenv(binEnv), link); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(uint64(n), 1)) // another number, other lines
	lines := make(chan []string)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			dirs := [2]string{t.TempDir(), t.TempDir()}
			for line := range lines {
				var answers [2]answer
				for i, bin := range []string{link, os.Getenv(runcEnv)} {
					var err error
					if answers[i], err = ask(bin, dirs[i], line); err != nil {
						t.Error(err)
					}
					// What spec and checkpoint may write.
					left, _ := filepath.Glob(filepath.Join(dirs[i], "*"))
					for _, name := range left {
						_ = os.RemoveAll(name)
					}
				}
				if answers[0] != answers[1] {
					t.Errorf("%q:\n podrt %+v\n runc  %+v", line, answers[0], answers[1])
				}
			}
		})
	}
	for range n {
		lines <- randomLine(random)
	}
	close(lines)
	wg.Wait()
}
