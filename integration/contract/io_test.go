package contract

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// lines reads a process's output as it comes.
type lines struct {
	s *session
	r *bufio.Reader
}

func newLines(s *session, r io.Reader) *lines { return &lines{s, bufio.NewReader(r)} }

func (l *lines) expect(want string) {
	l.s.Helper()
	got, err := l.r.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != want {
		l.s.Fatalf("the process says %q, %v; want %q", got, err, want)
	}
}

// facts records files of the container's cgroup.
func (s *session) facts(files ...string) {
	s.Helper()
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(s.cgroupDir(), name))
		s.must(err)
		s.fact(name, strings.TrimSpace(string(b)))
	}
}
