package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/netprobe"
)

const (
	maxHeader    = 64 << 10 // bytes of an answer's headers, each time
	maxBody      = 10 << 10 // bytes of a body that are read; the kubelet's
	maxRedirects = 10       // the kubelet's
)

// dial connects to the request's address.
func dial(ctx context.Context, r *netprobe.Request) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		// Closed at once, and nothing is left in TIME_WAIT: a probe a second would
		// use the pod's ports up.
		cerr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		})
		return errors.Join(cerr, err)
	}}
	return d.DialContext(ctx, "tcp", netip.AddrPortFrom(r.Address, r.Port).String())
}

// newTransport makes one connection for each request, to an address, whatever the
// environment says of proxies.
func newTransport(ctx context.Context) *http.Transport {
	return &http.Transport{
		DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			to, err := netip.ParseAddrPort(addr)
			if err != nil {
				return nil, err
			}
			return dial(ctx, &netprobe.Request{Address: to.Addr(), Port: to.Port()})
		},
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // who answers is known by the address alone
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// target is the request's URL. A path that is none is taken as it is.
func target(r *netprobe.Request) *url.URL {
	u, err := url.Parse(r.Path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" {
		u = &url.URL{Path: r.Path}
	}
	u.Scheme, u.Host = "http", net.JoinHostPort(r.Address.String(), strconv.Itoa(int(r.Port)))
	if r.TLS {
		u.Scheme = "https"
	}
	if !strings.HasPrefix(u.Path, "/") {
		u.Path = "/" + u.Path
	}
	return u
}

// askHTTP succeeds with a status of 200 to 399. Redirects are followed on the same
// host; one to elsewhere is an answer.
func askHTTP(ctx context.Context, r *netprobe.Request) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target(r).String(), nil)
	if err != nil {
		return err
	}
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, "Host") {
			req.Host = h.Value
			continue
		}
		req.Header.Add(h.Name, h.Value)
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header.Set("User-Agent", "podrt-probe/"+version)
	}
	if _, ok := req.Header["Accept"]; !ok {
		req.Header.Set("Accept", "*/*")
	}
	client := http.Client{Transport: newTransport(ctx), CheckRedirect: func(next *http.Request, via []*http.Request) error {
		switch {
		case next.URL.Hostname() != via[0].URL.Hostname():
			return http.ErrUseLastResponse
		case len(via) >= maxRedirects:
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		return nil
	}}
	res, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error // "Get URL:" before it, which podrt knows
		if errors.As(err, &wrapped) && !wrapped.Timeout() {
			err = wrapped.Err
		}
		return err
	}
	defer res.Body.Close()
	if r.AnyStatus {
		return nil
	}
	// What follows is no body, and net/http does not end it with the context.
	if res.StatusCode == http.StatusSwitchingProtocols {
		return fmt.Errorf("HTTP status %d", res.StatusCode)
	}
	// A server that is cut off in the middle of a short answer may not like it.
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	switch {
	case err != nil:
		return err
	case res.StatusCode < http.StatusOK || res.StatusCode >= http.StatusBadRequest:
		if text := strings.TrimSpace(string(body)); text != "" {
			return fmt.Errorf("HTTP status %d: %s", res.StatusCode, text)
		}
		return fmt.Errorf("HTTP status %d", res.StatusCode)
	}
	return nil
}
