package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
)

// logTo configures logging for one test, which says and fails, and returns
// what is in the log file and on standard error.
func logTo(t *testing.T, debug bool, format string, say func()) (log, stderr string) {
	t.Helper()
	std := logrus.StandardLogger()
	out, formatter, level, caller := std.Out, std.Formatter, std.GetLevel(), std.ReportCaller
	realStderr := os.Stderr
	t.Cleanup(func() {
		std.SetOutput(out)
		std.SetFormatter(formatter)
		std.SetLevel(level)
		std.SetReportCaller(caller)
	})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = w
	defer func() { os.Stderr = realStderr }()

	file := filepath.Join(t.TempDir(), "log")
	l := newLogger()
	if err := l.configure(debug, file, format); err != nil {
		t.Fatal(err)
	}
	say()
	l.fail(errors.New(`create failed: "x" is bad`))
	w.Close()
	l.out.Close()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	e, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), string(e)
}

func TestLogJSON(t *testing.T) {
	log, stderr := logTo(t, false, "json", func() {
		logrus.Warn("not for a program that takes the file for one object")
		logrus.Error("this neither")
	})
	// Shape and order of the fields as engines know them.
	var line struct{ Level, Msg, Time string }
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatalf("log %q: %v", log, err)
	}
	if want := `{"code":"internal","level":"error","msg":"create failed: \"x\" is bad","time":"` + line.Time + "\"}\n"; log != want {
		t.Errorf("log = %q; want %q", log, want)
	}
	if _, err := time.Parse(time.RFC3339, line.Time); err != nil {
		t.Error(err)
	}
	if want := "create failed: \"x\" is bad\n"; stderr != want {
		t.Errorf("standard error = %q; want %q", stderr, want)
	}
}

func TestLogText(t *testing.T) {
	log, stderr := logTo(t, false, "text", func() { logrus.Warn("a warning") })
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) != 2 ||
		!strings.HasPrefix(lines[0], `time="`) || !strings.HasSuffix(lines[0], `level=warning msg="a warning"`) ||
		!strings.HasSuffix(lines[1], `level=error msg="create failed: \"x\" is bad"`) {
		t.Errorf("log = %q", log)
	}
	if want := "create failed: \"x\" is bad\n"; stderr != want {
		t.Errorf("standard error = %q; want %q", stderr, want)
	}
}

func TestLogDebug(t *testing.T) {
	log, _ := logTo(t, true, "json", func() { logrus.Debug("a detail") })
	if !strings.Contains(log, `"level":"debug","msg":"a detail"`) {
		t.Errorf("log = %q; want the detail in it", log)
	}
}

func TestLogLevel(t *testing.T) {
	for level, want := range map[string]logrus.Level{
		"": logrus.InfoLevel, "info": logrus.InfoLevel, "debug": logrus.InfoLevel, // --debug is configure's
		"warning": logrus.WarnLevel, "error": logrus.ErrorLevel,
	} {
		logTo(t, false, "text", func() {
			if err := newLogger().limit(level); err != nil || logrus.GetLevel() != want {
				t.Errorf("--log-level %q: level %v, error %v; want %v", level, logrus.GetLevel(), err, want)
			}
			logrus.SetLevel(logrus.InfoLevel)
		})
	}
	// Where nothing but the last error is logged, it stays so.
	logTo(t, false, "json", func() {
		if err := newLogger().limit("warning"); err != nil || logrus.GetLevel() != logrus.PanicLevel {
			t.Errorf("--log-level warning with JSON: level %v, error %v; want %v", logrus.GetLevel(), err, logrus.PanicLevel)
		}
	})
	if err := newLogger().limit("loud"); errorText(err) != `--log-level "loud": must be error, warning, info or debug` {
		t.Errorf("--log-level loud: %v", err)
	}
}
