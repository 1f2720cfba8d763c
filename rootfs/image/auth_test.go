package image

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

// auths writes a file with the credentials of a user for each key, who has the name
// of its directory and that, without colons.
func auths(t *testing.T, path string, keys ...string) {
	t.Helper()
	text := ""
	for i, key := range keys {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf("%q: {\"auth\": %q}", key, base64.StdEncoding.EncodeToString([]byte(filepath.Base(filepath.Dir(path))+" "+strings.ReplaceAll(key, ":", "")+":word")))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"auths": {`+text+`}}`), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (k keychain) user(t *testing.T, repository string) string {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.Resolve(repo)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Authorization()
	if err != nil {
		t.Fatal(err)
	}
	return c.Username
}

// TestAuthKeys: credentials as docker login and podman login write them.
func TestAuthKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f/auth.json")
	for _, tt := range []struct {
		keys             []string
		repository, want string
	}{
		{[]string{"https://index.docker.io/v1/"}, "busybox", "f https//index.docker.io/v1/"},
		{[]string{"docker.io"}, "busybox", "f docker.io"},
		{[]string{"docker.io", "docker.io/me"}, "docker.io/me/x", "f docker.io/me"},
		{[]string{"docker.io", "docker.io/me"}, "docker.io/you/x", "f docker.io"},
		{[]string{"quay.io", "quay.io/a", "quay.io/a/b"}, "quay.io/a/b", "f quay.io/a/b"},
		{[]string{"quay.io", "quay.io/a", "quay.io/a/b"}, "quay.io/a/bc", "f quay.io/a"},
		{[]string{"https://quay.io/v1"}, "quay.io/a", "f https//quay.io/v1"},
		{[]string{"quay.io"}, "quay.example/a", ""},
		{[]string{"quay.io"}, "localhost:5000/quay.io/a", ""},
	} {
		auths(t, file, tt.keys...)
		k, err := readKeychain(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.user(t, tt.repository); got != tt.want {
			t.Errorf("%q of %q: %q; want %q", tt.repository, tt.keys, got, tt.want)
		}
	}
}

// TestAuthOfUser: docker's file first, and podman's for what that does not have.
func TestAuthOfUser(t *testing.T) {
	dir := t.TempDir()
	for key, value := range map[string]string{
		"HOME": dir, "DOCKER_CONFIG": dir + "/docker", "REGISTRY_AUTH_FILE": dir + "/registry/f",
		"XDG_RUNTIME_DIR": dir + "/run", "XDG_CONFIG_HOME": dir + "/config",
	} {
		t.Setenv(key, value)
	}
	read := func() keychain {
		t.Helper()
		k, err := readKeychain("")
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if got := read().user(t, "a.example/x"); got != "" {
		t.Errorf("without a file: %q; want nobody", got)
	}
	auths(t, dir+"/docker/config.json", "a.example")
	auths(t, dir+"/registry/f", "a.example", "b.example")
	auths(t, dir+"/run/containers/auth.json", "b.example", "c.example")
	auths(t, dir+"/config/containers/auth.json", "c.example", "d.example")
	k := read()
	for registry, want := range map[string]string{"a": "docker", "b": "registry", "c": "containers", "d": "containers"} {
		if got := k.user(t, registry+".example/x"); got != want+" "+registry+".example" {
			t.Errorf("%s: %q; want that of %q", registry, got, want)
		}
	}
	if err := os.WriteFile(dir+"/registry/f", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := readKeychain("")
	wantError(t, "half a file", err, dir+"/registry/f")
	_, err = readKeychain(dir + "/none")
	wantError(t, "no file", err, dir+"/none")
}
