package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestManPages(t *testing.T) {
	dir := t.TempDir()
	if out, err := execute(t, "podrt", "man", dir); err != nil || out != "" {
		t.Fatalf("man: %q, %v", out, err)
	}
	page := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name+".8"))
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	checkFlags := func(path, text string, f *flags) {
		for _, d := range f.defs {
			for _, n := range d.names {
				if strings.Contains(text, `\fB`+roff(dashed(n))+`\fR`) == d.hidden {
					t.Errorf("page of %s: flag %q is hidden: %t; and the contrary in the page", path, n, d.hidden)
				}
			}
			if d.usage == "" {
				t.Errorf("%s: flag --%s is not explained", path, d.names[0])
			}
		}
	}
	main := page("podrt")
	global := newFlags()
	newEnv([]string{"podrt"}).globalFlags(global)
	checkFlags("podrt", main, global)
	pages := 1
	eachVerb(t, func(path string, c *command, f *flags) {
		name := strings.ReplaceAll(path, " ", "-")
		text := page(name)
		checkFlags(path, text, f)
		pages++
		if list := page(name[:strings.LastIndex(name, "-")]); !strings.Contains(list, ".BR "+roff(name)+" (8)\n"+roff(c.usage)) {
			t.Errorf("the page above %s does not list it", name)
		}
	})
	made, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(made) != pages {
		t.Errorf("%d files: %q, %v; want %d", len(made), made, err, pages)
	}

	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("groff is not installed")
	}
	for _, path := range made {
		if out, err := exec.Command("groff", "-man", "-ww", "-rCHECKSTYLE=3", "-z", "-Tutf8", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff: %v: %s", err, out)
		}
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		"plain":    "plain",
		`a\0 b`:    `a\e0 b`,
		".so file": `\&.so file`,
		"'quoted'": `\(aqquoted\(aq`,
		"--flag":   `\-\-flag`,
		"~/x ^ `":  `\(ti/x \(ha \(ga`,
	} {
		if got := roff(text); got != want {
			t.Errorf("roff(%q) = %q; want %q", text, got, want)
		}
	}
}
