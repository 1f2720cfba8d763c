package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/podrt/podrt/sandbox"
)

func TestCriuPaths(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ image, work, dir, wantImage, wantWork string }{
		{"", "", "", filepath.Join(wd, "checkpoint"), ""},
		{"", "", "/bundle", filepath.Join(wd, "checkpoint"), ""},
		{"img", "work", "", "img", "work"},
		{"img", "work", "/bundle", "/bundle/img", "/bundle/work"},
		{"/img", "/work", "/bundle", "/img", "/work"},
	} {
		o := criuOptions{CheckpointOptions: sandbox.CheckpointOptions{ImagesDirectory: tt.image, WorkDirectory: tt.work}}
		got, err := o.options(tt.dir)
		if err != nil || got.ImagesDirectory != tt.wantImage || got.WorkDirectory != tt.wantWork {
			t.Errorf("options(%q) of %q, %q = %+v, %v; want %q, %q", tt.dir, tt.image, tt.work, got, err, tt.wantImage, tt.wantWork)
		}
	}
}

func TestCriuOptionErrors(t *testing.T) {
	const server = "Use --page-server ADDRESS:PORT to specify page server"
	for _, tt := range []struct{ server, ns, want string }{
		{"127.0.0.1:1234", "network", ""},
		{"[::1]:1234", "", ""},
		{"localhost", "", server},
		{":1234", "", server},
		{"localhost:", "", server},
		{"localhost:x", "", "Invalid port number"},
		{"localhost:9999999999", "", "Invalid port number"},
		{"", "mount", `namespace "mount" is not supported`},
	} {
		o := criuOptions{pageServer: tt.server}
		if tt.ns != "" {
			o.emptyNs = []string{tt.ns}
		}
		_, err := o.options("")
		if got := errorText(err); got != tt.want {
			t.Errorf("options with page server %q, empty namespace %q: error %q; want %q", tt.server, tt.ns, got, tt.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
