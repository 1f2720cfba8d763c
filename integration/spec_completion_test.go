package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The shells' completion, as their users have it, of a container's id and a
// pod's name among others.
func TestSpecCompletion(t *testing.T) {
	nativeOnly(t)
	w := newWorld(t)
	w.create(t, "kiosk")
	w.ok(t, "create", "--bundle", w.bundle(t, w.serve("", "")), "plain")
	defer w.ok(t, "delete", "--force", "plain")
	roots := "--root " + filepath.Join(w.run, "containers") + " --pod-root=" + w.run
	lines := map[string]string{
		"podrt po":                                   "pod",
		"podrt pod st":                               "start stats stop",
		"podrt create --bun":                         "--bundle",
		"podrt list --format ":                       "json table",
		"podrt list --format=j":                      "--format=json",
		"podrt " + roots + " delete ":                "plain",
		"podrt " + roots + " exec pl":                "plain",
		"podrt " + roots + " create pl":              "",
		"podrt " + roots + " pod rm ":                "kiosk",
		"podrt " + roots + " run --pod ki":           "kiosk",
		"podrt " + roots + " pod rm kiosk ":          "",
		"podrt " + roots + " pod create --network c": "container:kiosk",
		"podrt kill x TE":                            "TERM",
		"podrt --root /et":                           "/etc/",
		"podrt --root=/et":                           "--root=/etc/",
		"podrt --log /etc/passw":                     "/etc/passwd",
	}
	for shell, complete := range map[string]func(*testing.T, string, []string) map[string][]string{
		"bash": completeBash, "zsh": completeZsh, "fish": completeFish,
	} {
		t.Run(shell, func(t *testing.T) {
			dir := t.TempDir()
			script, err := exec.Command(os.Getenv(binEnv), "completion", shell).Output()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "_podrt"), script, 0o644); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", filepath.Dir(os.Getenv(binEnv))+":"+os.Getenv("PATH"))
			var typed []string
			for line := range lines {
				typed = append(typed, line)
			}
			got := complete(t, dir, typed)
			for line, want := range lines {
				words := got[line]
				// Files beside the one; what is behind the word stays with the shell.
				words = slices.DeleteFunc(words, func(w string) bool { return w == "/etc/passwd-" || w == "" })
				slices.Sort(words)
				if have := strings.Join(slices.Compact(words), " "); have != want {
					t.Errorf("%q becomes %q; want %q", line, have, want)
				}
			}
		})
	}
}

// completeIn runs a shell's script; what it prints is lines "== LINE" with the
// completions of the line below.
func completeIn(t *testing.T, argv ...string) map[string][]string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", argv[0], err, out)
	}
	found := make(map[string][]string)
	line := ""
	for text := range strings.Lines(string(out)) {
		text = strings.TrimSuffix(text, "\n")
		if typed, ok := strings.CutPrefix(text, "== "); ok {
			line = typed
			continue
		}
		found[line] = append(found[line], text)
	}
	return found
}

// completeBash sets what bash sets for a function of "complete -F": words are
// split at = and : as well, and what comes back replaces the last of these.
func completeBash(t *testing.T, dir string, lines []string) map[string][]string {
	t.Helper()
	var script strings.Builder
	script.WriteString("set -u\nsource " + dir + "/_podrt\ncompopt() { names=$2; }\n")
	for _, line := range lines {
		var words []string
		for _, w := range strings.Split(line, " ") {
			name, value, ok := strings.Cut(w, "=")
			words = append(words, strconv.Quote(name))
			if ok {
				words = append(words, "=")
				if value != "" {
					words = append(words, strconv.Quote(value))
				}
			}
		}
		lead := ""
		if last := line[strings.LastIndex(line, " ")+1:]; strings.Contains(last, "=") {
			lead = last[:strings.Index(last, "=")+1]
		}
		script.WriteString("COMP_LINE=" + strconv.Quote(line) + " COMP_POINT=" + strconv.Itoa(len(line)) +
			" COMP_WORDS=(" + strings.Join(words, " ") + ") COMP_CWORD=" + strconv.Itoa(len(words)-1) + " COMPREPLY=() names=\n" +
			"_podrt podrt\necho \"== $COMP_LINE\"\nfor w in \"${COMPREPLY[@]}\"; do\n" +
			"if [[ $names && -d $w ]]; then w+=/; fi\necho \"" + lead + "$w\"\ndone\n")
	}
	return completeIn(t, "bash", "--norc", "-c", script.String())
}

func completeFish(t *testing.T, dir string, lines []string) map[string][]string {
	t.Helper()
	script := "source " + dir + "/_podrt\n"
	for _, line := range lines {
		script += "echo '== " + line + "'; complete -C'" + line + "' | string replace -r '\\t.*' ''\n"
	}
	return completeIn(t, "fish", "--no-config", "-c", script+"true")
}

// completeZsh types the lines into an interactive zsh, whose builtin for
// matches tells what they are. Of paths it only knows the last name.
func completeZsh(t *testing.T, dir string, lines []string) map[string][]string {
	t.Helper()
	found := completeIn(t, append([]string{"zsh", "-f", "testdata/complete.zsh", dir}, lines...)...)
	for line, words := range found {
		last := line[strings.LastIndex(line, " ")+1:]
		if i := strings.LastIndex(last, "/"); i >= 0 {
			for j, w := range words {
				words[j] = last[:i+1] + w
				if info, err := os.Stat(words[j][strings.Index(words[j], "/"):]); err == nil && info.IsDir() {
					words[j] += "/"
				}
			}
		}
	}
	return found
}
