package contract

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

var (
	logTime      = regexp.MustCompile(`time="[^"]*"`)
	jsonTime     = regexp.MustCompile(`"time":"[^"]*"`)
	jsonCode     = regexp.MustCompile(`"code":"[a-z-]+",`)
	logPlace     = regexp.MustCompile(` func="[^"]*" file="[^"]*"|"file":"[^"]*","func":"[^"]*",`)
	created      = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z( *)`)
	createdTitle = regexp.MustCompile(`CREATED +OWNER`)
	jsonPid      = regexp.MustCompile(`"pid": ?[1-9]\d*`)
	listedPid    = regexp.MustCompile(`(?m)^(\S+ +)(\d{2,7} +)(created|running|paused)`)
	nsexecPid    = regexp.MustCompile(`nsexec-(\d)\[\d+\]`)
	sockets      = regexp.MustCompile(`/tmp/contract\d+`)
	pidList      = regexp.MustCompile(`\d+(,\d+)*`)
	podrtWord    = regexp.MustCompile(`\bpodrt\b`)
)

// withoutTimes puts a word in the place of each log line's time.
func withoutTimes(s string) string {
	return jsonTime.ReplaceAllString(logTime.ReplaceAllString(s, "time=TIME"), `"time":"TIME"`)
}

// withoutPlaces takes out where in the source a line of --debug comes from.
func withoutPlaces(s string) string { return logPlace.ReplaceAllString(s, "") }

// normal replaces what must differ: paths, times, pids, and the program's name
// where podrt goes by its own.
func (s *session) normal(text string) string {
	text = strings.NewReplacer(s.dir, "DIR", s.w.rootfs, "ROOTFS", s.bin, "PROG", s.cgroup, "/CGROUP",
		strings.TrimPrefix(s.cgroup, "/"), "CGROUP", "/run/podrt/containers", "/run/runc").Replace(text)
	if s.podrt && !strings.HasSuffix(s.bin, "/runc") {
		text = podrtWord.ReplaceAllString(text, "runc")
	}
	text = createdTitle.ReplaceAllString(text, fmt.Sprintf("%-33sOWNER", "CREATED"))
	text = created.ReplaceAllStringFunc(text, func(m string) string {
		if strings.HasSuffix(m, " ") {
			return fmt.Sprintf("%-33s", "CREATED") // a column as wide as the title's and more
		}
		return "CREATED"
	})
	text = sockets.ReplaceAllString(text, "SOCKETS")
	text = nsexecPid.ReplaceAllString(text, "nsexec-$1[PID]")
	text = jsonPid.ReplaceAllString(text, `"pid": PID`)
	text = listedPid.ReplaceAllStringFunc(text, func(m string) string {
		// The width of the column stays.
		f := listedPid.FindStringSubmatch(m)
		return f[1] + "PID" + strings.Repeat(" ", len(f[2])-3) + f[3]
	})
	return withoutPlaces(withoutTimes(text))
}

// normalLog is the error of a JSON log, which is all that callers look for;
// other logs stay whole.
func (s *session) normalLog(log string) string {
	if !strings.HasPrefix(log, "{") {
		return log
	}
	msg, err := lastRuntimeError([]byte(log))
	if err != nil {
		return fmt.Sprintf("%v: %s", err, log)
	}
	if msg == "" {
		return ""
	}
	b, _ := json.Marshal(map[string]string{"level": "error", "msg": msg})
	return string(b)
}

// difference shows where two records differ, each time below the call.
func difference(podrt, runc string) string {
	var b strings.Builder
	a, c := strings.Split(podrt, "\n"), strings.Split(runc, "\n")
	call, shown := "", 0
	for i := range max(len(a), len(c)) {
		var x, y string
		if i < len(a) {
			x = a[i]
		}
		if i < len(c) {
			y = c[i]
		}
		switch {
		case x != y:
			fmt.Fprintf(&b, "%s  podrt %s\n  runc  %s\n", call, x, y)
			call = ""
			if shown++; shown == 12 {
				return b.String() + "  …\n"
			}
		case strings.HasPrefix(x, "call: "):
			call = "  " + x + "\n"
		}
	}
	return b.String()
}
