package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/config/configfile"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// keychain gets credentials from files in the form of docker's config.json, which
// podman's auth.json has too. The first that has some for an image counts.
type keychain []*configfile.ConfigFile

// readKeychain reads a file, or if that is empty those of the user.
func readKeychain(file string) (keychain, error) {
	files := []string{file}
	if file == "" {
		files = userAuthFiles()
	}
	var k keychain
	for _, path := range files {
		f, err := os.Open(path)
		if file == "" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		cf, err := config.LoadFromReader(f)
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("read credentials %q: %w", path, err)
		}
		k = append(k, cf)
	}
	return k, nil
}

// userAuthFiles are where docker login and podman login (containers-auth.json(5))
// put credentials.
func userAuthFiles() []string {
	files := []string{filepath.Join(config.Dir(), config.ConfigFileName)}
	if path := os.Getenv("REGISTRY_AUTH_FILE"); path != "" {
		files = append(files, path)
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		files = append(files, filepath.Join(dir, "containers/auth.json"))
	} else {
		files = append(files, filepath.Join("/run/containers", strconv.Itoa(os.Getuid()), "auth.json"))
	}
	if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, "containers/auth.json"))
	}
	return files
}

func (k keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	for _, cf := range k {
		for _, key := range authKeys(target.String()) {
			c, ok := cf.AuthConfigs[key] // as it is: docker's look-up takes docker.io for its own key
			if !ok && (!strings.Contains(key, "/") || key == authn.DefaultAuthKey) {
				var err error
				if c, err = cf.GetAuthConfig(key); err != nil { // may ask a program, which knows registries
					return nil, err
				}
			}
			c.ServerAddress = "" // set also where there is nothing
			if c != (types.AuthConfig{}) {
				return authn.FromConfig(authn.AuthConfig{
					Username: c.Username, Password: c.Password, Auth: c.Auth,
					IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
				}), nil
			}
		}
	}
	return authn.Anonymous, nil
}

// authKeys are the names under which a file can have the credentials for a
// repository: podman's from itself up to its registry, then docker's, if that is
// Docker Hub.
func authKeys(repository string) []string {
	domain, path, _ := strings.Cut(repository, "/")
	if domain == name.DefaultRegistry {
		domain = defaultDomain
	}
	var keys []string
	for path != "" {
		keys = append(keys, domain+"/"+path)
		path = path[:max(0, strings.LastIndexByte(path, '/'))]
	}
	if domain == defaultDomain {
		return append(keys, domain, authn.DefaultAuthKey)
	}
	return append(keys, domain)
}
