package image

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// PullOptions say how to get an image from a registry.
type PullOptions struct {
	// Platform is OS/ARCH[/VARIANT]. Default: linux, and this program's.
	Platform string
	// SkipTLSVerify takes any certificate of the registry, and plain HTTP.
	SkipTLSVerify bool
	// AuthFile has the credentials, as docker's config.json and podman's auth.json
	// have. Default: those of the user, docker's first.
	AuthFile string
}

// Pull gets an image from its registry, and gives it the name. Of what the store
// has already, nothing but the manifest is fetched.
func (s *Store) Pull(ctx context.Context, ref string, o PullOptions) (_ Image, retErr error) {
	r, err := parseReference(ref)
	if err != nil {
		return Image{}, err
	}
	defer func() {
		if retErr != nil {
			retErr = fmt.Errorf("pull image %q: %w", r, retErr)
		}
	}()
	platform, err := parsePlatform(o.Platform)
	if err != nil {
		return Image{}, err
	}
	options, err := o.remote(ctx, platform)
	if err != nil {
		return Image{}, err
	}
	var naming []name.Option
	if o.SkipTLSVerify {
		naming = append(naming, name.Insecure)
	}
	rr, err := r.remote(naming...)
	if err != nil {
		return Image{}, err
	}
	desc, err := remote.Get(rr, options...)
	if err != nil {
		return Image{}, explain(err)
	}
	if !desc.MediaType.IsImage() && !desc.MediaType.IsIndex() {
		return Image{}, fmt.Errorf("is a %q, not an image", desc.MediaType)
	}
	img, err := desc.Image()
	if err != nil {
		return Image{}, explain(err)
	}
	raw, err := img.RawManifest()
	if err != nil {
		return Image{}, explain(err)
	}
	src, err := parseSource(raw, func(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
		blob, err := remote.Layer(rr.Context().Digest(d.Digest.String()), append(options, remote.WithContext(ctx))...)
		if err != nil {
			return nil, err
		}
		return blob.Compressed()
	})
	if err != nil {
		return Image{}, err
	}
	w, err := s.begin()
	if err != nil {
		return Image{}, err
	}
	defer func() { retErr = errors.Join(retErr, w.end()) }()
	if o.Platform != "" {
		if err := s.checkPlatform(ctx, w, src, platform); err != nil {
			return Image{}, err
		}
	}
	got, err := s.add(ctx, w, src, r.String())
	return got, explain(err)
}

// checkPlatform refuses an image that is not of the platform that was asked for: of
// one that is not in an index, only its configuration says which it is.
func (s *Store) checkPlatform(ctx context.Context, w *work, src *source, want v1.Platform) error {
	if err := s.fetchBlob(ctx, w, src, src.manifest.Config); err != nil {
		return explain(err)
	}
	f, err := s.openBlob(w, src.manifest.Config.Digest.Hex)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := v1.ParseConfigFile(f)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	got := c.Platform()
	if got == nil {
		return nil
	}
	if got.Variant == "" { // many do not say
		want.Variant = ""
	}
	if !got.Satisfies(want) {
		return fmt.Errorf("is for %s, not %s", got, want)
	}
	return nil
}

// remote returns the options of a registry's client.
func (o *PullOptions) remote(ctx context.Context, platform v1.Platform) ([]remote.Option, error) {
	keys, err := readKeychain(o.AuthFile)
	if err != nil {
		return nil, err
	}
	var rt http.RoundTripper = secure{remote.DefaultTransport}
	if o.SkipTLSVerify {
		t := remote.DefaultTransport.(*http.Transport).Clone()
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // asked for
		rt = t
	}
	return []remote.Option{
		remote.WithContext(ctx), remote.WithPlatform(platform),
		remote.WithAuthFromKeychain(keys), remote.WithTransport(short{rt}), remote.WithUserAgent("podrt"),
	}, nil
}

// short is a transport that gets nothing longer than maxManifest but blobs, whose
// sizes are known: the client takes indexes of 100 MiB, which decoded can be thirty
// times that.
type short struct{ http.RoundTripper }

func (s short) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	for r.Response != nil { // where it was before the registry sent it elsewhere
		r = r.Response.Request
	}
	if path.Base(path.Dir(r.URL.Path)) != "blobs" {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{&bounded{r: answer.Body, most: maxManifest}, answer.Body}
	}
	return answer, nil
}

// secure is a transport that speaks no plain HTTP, also not to this host or to a
// private address, or because a registry sends it there.
type secure struct{ http.RoundTripper }

func (s secure) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s://%s is not encrypted: %w", r.URL.Scheme, r.URL.Host, errInsecure)
	}
	return s.RoundTripper.RoundTrip(r)
}

var errInsecure = errors.New("only with --tls-verify=false")

// explain adds what a registry's answer usually means.
func explain(err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: the registry does not have it, or wants other credentials (--authfile)", err)
	case http.StatusNotFound:
		return fmt.Errorf("%w: the registry does not have it", err)
	}
	return err
}
