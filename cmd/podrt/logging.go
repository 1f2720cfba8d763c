package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
)

// logger is where podrt says why it failed. libcontainer logs through logrus,
// in the format that engines know from runc; so does podrt.
type logger struct {
	out *os.File // nil: standard error
	// errors logs what podrt failed with, apart from what libcontainer says on
	// the way there.
	errors *logrus.Logger
	json   bool // errors carry a code
}

func newLogger() *logger { return &logger{errors: logrus.StandardLogger()} }

// configure applies --debug, --log and --log-format. JSON is for programs, of
// which some take the whole file for one object: there, without --debug, the
// error that podrt ends with is the only line.
func (l *logger) configure(debug bool, file, format string) error {
	std := logrus.StandardLogger()
	if debug {
		std.SetLevel(logrus.DebugLevel)
		std.SetReportCaller(true)
		std.SetFormatter(&logrus.TextFormatter{CallerPrettyfier: shortCaller})
	}
	switch format {
	case "", "text":
	case "json":
		std.SetFormatter(new(logrus.JSONFormatter))
		l.json = true
	default:
		return fmt.Errorf("invalid log-format: %s", format)
	}
	if file != "" {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_SYNC, 0o644)
		if err != nil {
			return err
		}
		l.out = f
		std.SetOutput(f)
	}
	if format == "json" && !debug {
		l.errors = logrus.New()
		l.errors.SetOutput(std.Out)
		l.errors.SetFormatter(std.Formatter)
		std.SetLevel(logrus.PanicLevel)
	}
	return nil
}

// limit applies --log-level, which crun has; more than is logged anyway, only
// debug asks for.
func (l *logger) limit(level string) error {
	switch level {
	case "", "info", "debug":
		return nil
	case "warning", "error":
		parsed, err := logrus.ParseLevel(level)
		if err == nil && logrus.GetLevel() > parsed {
			logrus.SetLevel(parsed)
		}
		return err
	}
	return fmt.Errorf("--log-level %q: must be error, warning, info or debug", level)
}

// fail logs the error that podrt ends with, and shows it on standard error if
// the log is elsewhere.
func (l *logger) fail(err error) {
	if l.json {
		l.errors.WithField("code", errorCode(err)).Error(err)
	} else {
		l.errors.Error(err)
	}
	if l.out != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// debug logs what is none of the caller's business, as a notify socket that
// nobody reads is not.
func (l *logger) debug(err error) { logrus.Debug(err) }

// warn logs what went wrong after the caller's wish was fulfilled.
func (l *logger) warn(err error) { logrus.Warn(err) }

// shortCaller names functions and files from the module's directory on.
func shortCaller(f *runtime.Frame) (function, file string) {
	_, self, _, _ := runtime.Caller(0)
	prefix := filepath.Dir(filepath.Dir(filepath.Dir(self))) + "/"
	return strings.TrimPrefix(f.Function, "github.com/podrt/podrt/") + "()",
		strings.TrimPrefix(f.File, prefix) + ":" + strconv.Itoa(f.Line)
}
