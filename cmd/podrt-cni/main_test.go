package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/podrt/podrt/netsetup"
)

// The main thread never ends, so what a goroutine locked to it had joined would
// stay: keep it for TestMain.
func init() { runtime.LockOSThread() }

// The test binary is also, by the name that it is executed as, podrt-cni itself, a
// plugin, a process that attaches a pod, and processes that wait.
const (
	programName = "podrt-cni"
	pluginName  = "podrt-plugin"
	callerName  = "podrt-caller"
	vastName    = "podrt-vast"
	idleName    = "podrt-idle"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case programName:
		main()
	case pluginName:
		os.Exit(runPlugin())
	case callerName:
		os.Exit(runCaller())
	case vastName:
		os.Exit(runVast())
	case idleName:
		os.Exit(waitForEnd())
	}
	os.Exit(m.Run())
}

// link makes the test binary a program of that name in dir.
func link(t *testing.T, dir, name string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustWrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantError fails the test unless err has all of the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not have %q", err, w)
		}
	}
}

func TestRequests(t *testing.T) {
	const rest = `"confDirs":["/nowhere"],"binDirs":["/nowhere"],"cacheDir":"/nowhere","addTimeout":1,"delTimeout":1`
	const attach = `"uid":"u1","network":"n","attach":{"uid":"u1","network":"n","netns":"/ns"`
	for _, tt := range []struct{ name, in, want string }{
		{"empty", ``, "unexpected end of JSON input|EOF"},
		{"no JSON", `list`, "invalid character 'l'"},
		{"other protocol", `{"protocol":2,"op":"list","new":1,` + rest + `}`, "protocol 2; this program speaks 1"},
		{"unknown field", `{"protocol":1,"op":"list","new":1,` + rest + `}`, `unknown field "new"`},
		{"two values", `{"protocol":1,"op":"list",` + rest + `}{}`, "protocol|more than one JSON value"},
		{"no directories", `{"protocol":1,"op":"list"}`, "confDirs, binDirs, cacheDir, addTimeout and delTimeout are needed"},
		{"unknown operation", `{"protocol":1,"op":"fly",` + rest + `}`, `operation "fly" is not known`},
		{"no network", `{"protocol":1,"op":"find",` + rest + `}`, `CNI network "": a name must match`},
		{"network with a slash", `{"protocol":1,"op":"status","network":"a/b",` + rest + `}`, `CNI network "a/b": a name must match`},
		{"nothing to attach", `{"protocol":1,"op":"add","uid":"u1","network":"n",` + rest + `}`, "attach is needed"},
		{"other pod", `{"protocol":1,"op":"add","uid":"u2","network":"n","attach":{"uid":"u1","network":"n","netns":"/ns","name":"","namespace":""},` + rest + `}`, `uid "u2" and network "n" are not attach's`},
		{"pod with a slash", `{"protocol":1,"op":"del","uid":"../u1",` + rest + `}`, `pod UID "../u1" is not valid`},
		{"bad port", `{"protocol":1,"op":"add",` + attach + `,"ports":[{"hostPort":1,"containerPort":1,"protocol":"icmp"}]},` + rest + `}`, `ports[0]: protocol "icmp" is not tcp, udp or sctp`},
		{"unknown network", `{"protocol":1,"op":"find","network":"n",` + rest + `}`, `no network "n" is configured for CNI in ["/nowhere"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var answer netsetup.CNIAnswer
			err := serve(context.Background(), strings.NewReader(tt.in), &answer)
			if err == nil {
				t.Fatalf("no error; want %q", tt.want)
			}
			for want := range strings.SplitSeq(tt.want, "|") {
				if strings.Contains(err.Error(), want) {
					return
				}
			}
			t.Errorf("error %q; want %q", err, tt.want)
		})
	}
}

// What cannot be answered, and what can, with an exit status that says which.
func TestRun(t *testing.T) {
	var out, errs strings.Builder
	if code := run([]string{"add"}, strings.NewReader(""), &out, &errs); code != 2 || out.Len() > 0 || !strings.Contains(errs.String(), `unknown argument "add"`) {
		t.Errorf("run with an argument = %d, %q, %q", code, &out, &errs)
	}
	errs.Reset()
	if code := run(nil, strings.NewReader("{"), &out, &errs); code != 0 || errs.Len() > 0 || !strings.HasPrefix(out.String(), `{"error":"podrt-cni: read request: `) {
		t.Errorf("run with a bad request = %d, %q, %q", code, &out, &errs)
	}
	out.Reset()
	if code := run([]string{"--version"}, nil, &out, &errs); code != 0 || !strings.HasPrefix(out.String(), fmt.Sprintf("podrt-cni version %s\n", version)) {
		t.Errorf("run --version = %d, %q", code, &out)
	}
}
