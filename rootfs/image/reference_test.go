package image

import (
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for _, tt := range []struct{ in, want string }{
		{"busybox", "docker.io/library/busybox:latest"},
		{"busybox:1.36", "docker.io/library/busybox:1.36"},
		{"library/busybox", "docker.io/library/busybox:latest"},
		{"someone/busybox", "docker.io/someone/busybox:latest"},
		{"docker.io/busybox", "docker.io/library/busybox:latest"},
		{"index.docker.io/busybox", "docker.io/library/busybox:latest"},
		{"localhost/x:y", "localhost/x:y"},
		{"localhost/x", "localhost/x:latest"},
		{"localhost:5000/x", "localhost:5000/x:latest"},
		{"127.0.0.1:5000/a/b/c:d", "127.0.0.1:5000/a/b/c:d"},
		{"[::1]:5000/a:d", "[::1]:5000/a:d"},
		{"quay.io/podman/hello:latest", "quay.io/podman/hello:latest"},
		{"MyHost/x", "MyHost/x:latest"},
		{"busybox@" + digest, "docker.io/library/busybox@" + digest},
		{"busybox:1.36@" + digest, "docker.io/library/busybox@" + digest},
		{"localhost:5000/x@" + digest, "localhost:5000/x@" + digest},
	} {
		if got, err := Normalize(tt.in); err != nil || got != tt.want {
			t.Errorf("Normalize(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
		} else if again, err := Normalize(got); err != nil || again != got {
			t.Errorf("Normalize(%q) = %q, %v; want it to stay", got, again, err)
		}
	}
	for _, in := range []string{
		"", "/", ":", "@", "busybox:", "busybox@", "Busybox", "busybox:a b", "a//b", "../etc", "a/../b", "-a/b", "a/b-",
		"busybox@sha256:12", "busybox@md5:" + strings.Repeat("a", 32), "busybox@" + strings.ToUpper(digest),
		"http://quay.io/x", "quay.io/x y", "quay.io/", "quay.io/x\n", "user@host/x", strings.Repeat("a", 300),
		"a:" + strings.Repeat("a", 200), "host:port:5/x",
	} {
		if got, err := Normalize(in); err == nil {
			t.Errorf("Normalize(%q) = %q; want an error", in, got)
		} else if !strings.Contains(err.Error(), "image name") {
			t.Errorf("Normalize(%q): %v; want an error that names it", in, err)
		}
	}
}
