package image

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Of names that leave parts out, as docker has them.
const (
	defaultDomain = "docker.io"
	defaultTag    = "latest"
)

// A reference is the name of an image in a registry.
type reference struct {
	domain string // such as docker.io or localhost:5000
	path   string // such as library/busybox
	tag    string // or
	digest string // sha256:HEX
}

// parseReference reads a name as docker does: one without a domain is Docker Hub's,
// and there one without a slash is below library/; the tag is by default latest. Of
// a tag and a digest the digest counts.
func parseReference(s string) (reference, error) {
	var r reference
	rest, digest, byDigest := strings.Cut(s, "@")
	domain, path, ok := strings.Cut(rest, "/")
	if !ok || !strings.ContainsAny(domain, ".:") && domain != "localhost" && strings.ToLower(domain) == domain {
		domain, path = defaultDomain, rest
	}
	if domain == "index.docker.io" {
		domain = defaultDomain
	}
	path, tag, hasTag := strings.Cut(path, ":")
	if domain == defaultDomain && path != "" && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	if hasTag && tag == "" || byDigest && digest == "" {
		return r, fmt.Errorf("image name %q: nothing is behind the last %q", s, s[len(s)-1:])
	}
	r = reference{domain: domain, path: path, tag: cmp.Or(tag, defaultTag), digest: digest}
	if err := r.check(); err != nil {
		return reference{}, fmt.Errorf("image name %q: %w", s, err)
	}
	if byDigest {
		r.tag = ""
	}
	return r, nil
}

func (r reference) check() error {
	// With this domain, as localhost would not be taken for one.
	base := "registry.invalid/" + r.path
	if err := checkDomain(r.domain); err != nil {
		return err
	}
	if _, err := name.NewTag(base+":"+r.tag, name.StrictValidation); err != nil {
		return err
	}
	for part := range strings.SplitSeq(r.path, "/") {
		if strings.Trim(part, "._-") != part || part == "" {
			return fmt.Errorf("part %q of the repository must begin and end with a letter or a digit", part)
		}
	}
	if r.digest == "" {
		return nil
	}
	_, err := name.NewDigest(base+"@"+r.digest, name.StrictValidation)
	return err
}

// checkDomain refuses what is no HOST or HOST:PORT.
func checkDomain(domain string) error {
	host := domain
	if strings.Contains(domain, ":") {
		var port string
		var err error
		if host, port, err = net.SplitHostPort(domain); err != nil {
			return err
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("registry %q: port %q is no number up to 65535", domain, port)
		}
	}
	if net.ParseIP(host) != nil {
		return nil
	}
	for label := range strings.SplitSeq(strings.ToLower(host), ".") {
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Trim(label, "-") != label || label == "" {
			return fmt.Errorf("registry %q: is no host name", domain)
		}
	}
	return nil
}

// String is the full name, with everything that was left out.
func (r reference) String() string {
	if r.digest != "" {
		return r.domain + "/" + r.path + "@" + r.digest
	}
	return r.domain + "/" + r.path + ":" + r.tag
}

// remote is the reference as a registry's client has it.
func (r reference) remote(opts ...name.Option) (name.Reference, error) {
	registry, err := name.NewRegistry(r.domain, opts...)
	if err != nil {
		return nil, err
	}
	repo := registry.Repo(r.path)
	if r.digest != "" {
		return repo.Digest(r.digest), nil
	}
	return repo.Tag(r.tag), nil
}

// Normalize returns the full name of an image: busybox is
// docker.io/library/busybox:latest.
func Normalize(ref string) (string, error) {
	r, err := parseReference(ref)
	if err != nil {
		return "", err
	}
	return r.String(), nil
}
