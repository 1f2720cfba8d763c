package main

import (
	"slices"
	"strings"
	"testing"
)

// completed are the words that the last one of a line can become; a line that
// ends with a space is to go on with a new word.
func completed(t *testing.T, line string) (paths string, words []string) {
	t.Helper()
	root := t.TempDir()
	out, err := execute(t, append([]string{"podrt", completeVerb, "--", "--root", root, "--pod-root", root}, strings.Split(line, " ")...)...)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	for _, l := range lines[1:] {
		word, _, ok := strings.Cut(l, "\t")
		if !ok {
			t.Errorf("%q: no tab in the line %q", line, l)
		}
		words = append(words, word)
	}
	return lines[0], words
}

func TestComplete(t *testing.T) {
	for _, tt := range []struct {
		line, paths, want string
	}{
		{"p", "", "pause pod ps"},
		{"pod st", "", "start stats stop"},
		{"pod help st", "", "start stats stop"},
		{"help pod st", "", "start stats stop"},
		{"help cre", "", "create"},
		{"--debug cre", "", "create"},
		{"--log-format json cre", "", "create"},
		{"--log-format=json cre", "", "create"},
		{"--nope cre", "", "create"},
		{"nope ", "", ""},
		{"--log-f", "", "--log-format"},
		{"--log-format ", "", "text json"},
		{"--log-format j", "", "json"},
		{"--log-format=j", "", "--log-format=json"},
		{"-log-format=j", "", "-log-format=json"},
		{"--root ", directories, ""},
		{"--root=/", directories, ""},
		{"--log ", files, ""},
		{"create --bun", "", "--bundle"},
		{"create -b ", directories, ""},
		{"create -b=", directories, ""},
		{"create -b x --pid-file ", files, ""},
		{"create id --bun", "", "--bundle"}, // flags may come after arguments
		{"exec id --cw", "", ""},            // but not where these are a command
		{"exec -- --cw", "", ""},
		{"exec --cap CAP_NET_B", "", "CAP_NET_BIND_SERVICE CAP_NET_BROADCAST"},
		{"exec --cw", "", "--cwd"},
		{"kill id KI", "", "KILL"},
		{"kill id KILL ", "", ""},
		{"pod kill --signal T", "", "TRAP TERM TSTP TTIN TTOU"},
		{"pod run ", directories, ""},
		{"pod create --network ", "", "none host bridge"},
		{"pod monitor ", "", ""},
		{"completion ", "", "bash zsh fish"},
		{"completion bash ", "", ""},
		{"list --format=", "", "--format=table --format=json"},
		{"update --kernel", "", ""}, // hidden
		{completeVerb[:2], "", ""},  // so is this
		{"checkpoint --empty-ns n", "", "network"},
	} {
		paths, words := completed(t, tt.line)
		if paths != tt.paths || strings.Join(words, " ") != tt.want {
			t.Errorf("%q becomes %q %q; want %q %q", tt.line, paths, words, tt.paths, tt.want)
		}
	}
}

// eachVerb calls do with every verb that is shown, its command line and flags.
func eachVerb(t *testing.T, do func(path string, c *command, f *flags)) {
	t.Helper()
	n := 0
	_ = eachVisible(verbs(), "podrt", func(path string, c *command) error {
		f := newFlags()
		if c.flags != nil {
			c.flags(f)
		}
		do(path, c, f)
		n++
		return nil
	})
	if n < 30 {
		t.Errorf("%d verbs; want all", n)
	}
}

func TestCompleteEverything(t *testing.T) {
	eachVerb(t, func(path string, c *command, f *flags) {
		line := strings.TrimPrefix(path, "podrt ")
		if _, words := completed(t, line); !slices.Contains(words, c.name) {
			t.Errorf("%q does not become %q: %q", line, c.name, words)
		}
		_, words := completed(t, line+" -")
		for _, d := range f.defs {
			for _, n := range d.names {
				if slices.Contains(words, dashed(n)) == d.hidden {
					t.Errorf("%s: flag %q is hidden: %t; among %q", path, n, d.hidden, words)
				}
			}
		}
	})
}

// freeText are the flags whose values nobody can guess.
var freeText = strings.Fields(`add-host additional-gids annotation apparmor blkio-weight cgroup cgroup-parent cni-gc
	cpu-burst cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-share cpu-shares cpus cpuset-cpus cpuset-mems
	cwd dns dns-option dns-search domainname egress-bandwidth env gateway gidmap hostname ingress-bandwidth interval
	ip ip-range kernel-memory kernel-memory-tcp l3-cache-schema label lsm-mount-context mac-address mem-bw-schema
	memory memory-reservation memory-swap mtu name page-server pids-limit preserve-fds process-label publish shm-size
	status-fd stop-timeout subnet sysctl tail time timeout uid uidmap user vlan volume`)

// A new flag has to be thought of: words gets its values, or freeText its name.
func TestCompleteValues(t *testing.T) {
	e := newEnv([]string{"podrt"})
	global := newFlags()
	e.globalFlags(global)
	check := func(path string, f *flags) {
		for _, d := range f.defs {
			if d.value == "" {
				continue
			}
			c := e.words(d.names[0])
			known := c.paths != "" || len(c.words) > 0 || d.names[0] == "pod"
			if known == slices.Contains(freeText, d.names[0]) {
				t.Errorf("%s --%s: has values to choose from: %t; and the contrary in freeText", path, d.names[0], known)
			}
		}
	}
	check("podrt", global)
	eachVerb(t, func(path string, _ *command, f *flags) { check(path, f) })
}

func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{"bash": "complete -F _podrt podrt\n", "zsh": "#compdef podrt\n", "fish": "complete -c podrt "} {
		out, err := execute(t, "podrt", "completion", shell)
		if err != nil || !strings.Contains(out, want) || !strings.Contains(out, completeVerb) {
			t.Errorf("completion %s prints %s, %v; want %q in it", shell, out, err, want)
		}
		out, _ = execute(t, "runc", "completion", shell)
		if strings.Contains(out, "podrt") {
			t.Errorf("runc's completion %s is for podrt: %s", shell, out)
		}
	}
	if _, err := execute(t, "podrt", "completion", "tcsh"); errorText(err) != `shell "tcsh": must be bash, zsh or fish` {
		t.Errorf("completion tcsh: %v", err)
	}
}
