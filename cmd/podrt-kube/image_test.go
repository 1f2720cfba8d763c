package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// outcome is how a command line ended.
type outcome struct {
	code           int
	stdout, stderr string
}

func execute(stdin string, args ...string) outcome {
	var out, errs bytes.Buffer
	code := run(append([]string{"podrt-kube"}, args...), strings.NewReader(stdin), &out, &errs)
	return outcome{code, out.String(), errs.String()}
}

func TestUsage(t *testing.T) {
	lib := t.TempDir()
	for _, tt := range []struct {
		line string
		code int
		want string // on standard output, or error
	}{
		{"", 0, "COMMANDS:\n   image"},
		{"--help", 0, "--lib-root string"},
		{"--version", 0, "podrt-kube version " + version},
		{"--no-such-flag", 1, "flag provided but not defined: -no-such-flag"},
		{"fly", 1, "podrt fly: there is no such command; see podrt --help"},
		{"image", 0, "pull, make, remove and look at images"},
		{"image --help", 0, "podrt image command [command options]"},
		{"image help pull", 0, "podrt image pull [command options] <reference>"},
		{"image fly", 1, "podrt image fly: there is no such command"},
		{"image pull -h", 0, "--platform OS/ARCH[/VARIANT]"},
		{"image pull", 1, "podrt image pull: 0 arguments; its form is: podrt image pull [options] <reference>"},
		{"image pull a b", 1, "podrt image pull: 2 arguments"},
		{"image pull --tls-verify=maybe a", 1, `invalid boolean value "maybe"`},
		{"image pull UPPER", 1, `image name "UPPER"`},
		{"image pull a --platform windows/amd64", 1, `platform "windows/amd64": must be linux/ARCH`}, // behind the argument
		{"image ls --format xml", 1, `--format "xml": must be table or json`},
		{"image import /not/there localhost/x", 1, "/not/there: no such file"},
		{"image load -i /not/there", 1, "load /not/there"},
		{"image inspect localhost/none", 1, `image "localhost/none:latest": no such image`},
		{"image rm localhost/a localhost/b", 1, `image "localhost/b:latest": no such image`},
	} {
		o := execute("", append([]string{"--lib-root", lib}, strings.Fields(tt.line)...)...)
		text := o.stdout
		if tt.code != 0 {
			text = o.stderr
		}
		if o.code != tt.code || !strings.Contains(text, tt.want) {
			t.Errorf("%q: %+v; want %d, %q", tt.line, o, tt.code, tt.want)
		}
	}
}

// TestComplete: verbs, flags, names of images.
func TestComplete(t *testing.T) {
	lib := t.TempDir()
	for _, tt := range []struct {
		words []string
		paths string
		want  []string
	}{
		{[]string{"im"}, "", []string{"image"}},
		{[]string{"image", "l"}, "", []string{"load", "ls"}},
		{[]string{"image", "ls", "--q"}, "", []string{"--quiet"}},
		{[]string{"image", "load", "-i", ""}, "files", nil},
		{[]string{"image", "fly", ""}, "", nil},
		{[]string{"image", "rm", ""}, "", nil},
	} {
		o := execute("", append([]string{"--lib-root", lib, completeVerb, "--"}, tt.words...)...)
		lines := strings.Split(strings.TrimSuffix(o.stdout, "\n"), "\n")
		var words []string
		for _, line := range lines[1:] {
			word, _, _ := strings.Cut(line, "\t")
			words = append(words, word)
		}
		if o.code != 0 || lines[0] != tt.paths || !slices.Equal(words, tt.want) {
			t.Errorf("%q becomes %q %q, %+v; want %q %q", tt.words, lines[0], words, o, tt.paths, tt.want)
		}
	}
	if made, err := os.ReadDir(lib); err != nil || len(made) > 0 {
		t.Errorf("completion has made %v, %v", made, err)
	}
}

// TestImages: what is imported is listed, inspected, completed and removed.
func TestImages(t *testing.T) {
	rung.Privileged(t)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "f", Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	global := []string{"--lib-root", t.TempDir()}
	ok := func(stdin string, args ...string) string {
		t.Helper()
		o := execute(stdin, append(slices.Clone(global), args...)...)
		if o.code != 0 || o.stderr != "" {
			t.Fatalf("%q: %+v", args, o)
		}
		return o.stdout
	}
	digest := strings.TrimSpace(ok(archive.String(), "image", "import", "-c", "USER me", "--change", `CMD ["/bin/app"]`, "-", "localhost/one"))
	file := filepath.Join(t.TempDir(), "root.tar")
	if err := os.WriteFile(file, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	other := strings.TrimSpace(ok("", "image", "import", file, "localhost/two"))
	if digest == other || !strings.HasPrefix(digest, "sha256:") {
		t.Errorf("digests %q and %q; want two", digest, other)
	}
	if got := ok("", "image", "ls", "-q"); got != digest+"\n"+other+"\n" {
		t.Errorf("ls -q: %q", got)
	}
	if got := ok("", "image", "ls"); !strings.Contains(got, "localhost/one:latest") || !strings.Contains(got, digest[7:19]) || strings.Count(got, "\n") != 3 {
		t.Errorf("ls: %q", got)
	}
	var infos []imageInfo
	if err := json.Unmarshal([]byte(ok("", "image", "inspect", "localhost/one", other)), &infos); err != nil || len(infos) != 2 {
		t.Fatalf("inspect: %v: %+v", err, infos)
	}
	if c := infos[0].Config.Config; infos[0].Digest != digest || c.User != "me" || fmt.Sprint(c.Cmd) != "[/bin/app]" {
		t.Errorf("inspect: %+v", infos[0])
	}
	if got := ok("", completeVerb, "--", "image", "rm", "localhost/o"); !strings.Contains(got, "\nlocalhost/one:latest\t"+digest+"\n") {
		t.Errorf("completion of an image: %q", got)
	}
	// Without a name it is what prune is for.
	ok(archive.String(), "image", "import", "-", "localhost/one")
	if got := ok("", "image", "prune"); got != digest+"\n" {
		t.Errorf("prune: %q; want %q", got, digest)
	}
	ok("", "image", "rm", "localhost/one", other[len("sha256:"):][:8])
	if got := ok("", "image", "ls", "--format=json"); got != "[]\n" {
		t.Errorf("ls: %q; want none", got)
	}
}

// TestTerminal: what a registry and an image say is no command for a terminal.
func TestTerminal(t *testing.T) {
	rung.Privileged(t)
	hostile := "\x1b]0;t\a\u009b31m\x7f"
	reg := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"errors":[{"code":"DENIED","message":"no \u001b]0;t\u0007\u009b31m"}]}`)
	}))
	defer reg.Close()
	lib := t.TempDir()
	_, at, _ := strings.Cut(reg.URL, "://")
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: strings.Repeat(hostile, 50) + "/x", Typeflag: tar.TypeReg, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var empty bytes.Buffer
	if err := tar.NewWriter(&empty).Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		stdin string
		args  []string
		code  int
		want  string
	}{
		{"", []string{"pull", "--tls-verify=false", at + "/x"}, 1, "DENIED: no "},
		{archive.String(), []string{"import", "-", "localhost/x"}, 1, "file name too long"},
		{empty.String(), []string{"import", "-c", "LABEL l=<" + hostile + ">", "-", "localhost/x"}, 0, "sha256:"},
		{"", []string{"inspect", "localhost/x"}, 0, `<\u001b]0;t\u0007\u009b31m\u007f>`},
		{"", []string{"ls"}, 0, "localhost/x"},
	} {
		o := execute(tt.stdin, append([]string{"--lib-root", lib, "image"}, tt.args...)...)
		if out := o.stdout + o.stderr; o.code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("%q: %+v; want %d, %q", tt.args, o, tt.code, tt.want)
		} else if strings.ContainsAny(out, hostile[:1]+"\a\x7f\u009b") {
			t.Errorf("%q prints %q; want no controls", tt.args, out)
		}
	}
}

// TestFromTerminal: nobody types an archive.
func TestFromTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for _, args := range [][]string{{"load"}, {"load", "-i", "-"}, {"import", "-", "localhost/x"}} {
		var out, errs bytes.Buffer
		code := run(append([]string{"podrt-kube", "--lib-root", t.TempDir(), "image"}, args...), terminal, &out, &errs)
		if code != 1 || !strings.Contains(errs.String(), "standard input is a terminal") {
			t.Errorf("%q: %d, %q %q; want an error", args, code, out.String(), errs.String())
		}
	}
}
