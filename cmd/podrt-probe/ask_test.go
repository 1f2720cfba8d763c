package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/podrt/podrt/netprobe"
)

// request is one to a server of the test.
func request(t *testing.T, kind netprobe.Kind, addr net.Addr) *netprobe.Request {
	t.Helper()
	to, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return &netprobe.Request{Protocol: netprobe.Protocol, Kind: kind, Timeout: 10 * time.Second, Address: to.Addr(), Port: to.Port()}
}

// listen accepts connections, each for do.
func listen(t *testing.T, do func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				do(c)
			}()
		}
	}()
	return l.Addr()
}

// flood writes the same until the other end has had enough, and says how much.
func flood(c net.Conn, first, more string) int64 {
	n, _ := io.WriteString(c, first)
	sum := int64(n)
	piece := []byte(strings.Repeat(more, 1+4096/len(more)))
	for {
		n, err := c.Write(piece)
		sum += int64(n)
		if err != nil {
			return sum
		}
	}
}

func TestAskHTTP(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	mux := http.NewServeMux()
	status := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, text)
		}
	}
	mux.Handle("/200", status(200, "fine"))
	mux.Handle("/399", status(399, ""))
	mux.Handle("/400", status(400, "bad \x1b[31m request\n"))
	mux.Handle("/503", status(503, ""))
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		want := "GET /echo?a=b%20c podrt.example [1 2]"
		if got := fmt.Sprint(r.Method, " ", r.URL, " ", r.Host, " ", r.Header["X-Number"]); got != want {
			http.Error(w, got, 500)
		}
	})
	mux.Handle("/near", http.RedirectHandler("/200", http.StatusFound))
	mux.Handle("/bad", http.RedirectHandler("/503", http.StatusFound))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.HandleFunc("/far", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	secure := httptest.NewTLSServer(mux)
	defer secure.Close()

	for _, tt := range []struct {
		path string
		tls  bool
		any  bool
		want string // message; "" for success
	}{
		{path: "/200"},
		{path: "200"},
		{path: "/200", tls: true},
		{path: "/399"},
		{path: "/400", want: "HTTP status 400: bad ?[31m request"},
		{path: "/400", any: true},
		{path: "/503", want: "HTTP status 503"},
		{path: "/none", want: "HTTP status 404: 404 page not found"},
		{path: "/echo?a=b%20c"},
		{path: "/%zz", want: "HTTP status 404: 404 page not found"},
		{path: "http://127.0.0.2/200", want: "HTTP status 404: 404 page not found"},
		{path: "/near"},
		{path: "/near", tls: true},
		{path: "/bad", want: "HTTP status 503"},
		{path: "/far"}, // the answer counts, and is not followed
		{path: "/loop", want: "more than 10 redirects"},
	} {
		s := server
		if tt.tls {
			s = secure
		}
		r := request(t, netprobe.HTTP, s.Listener.Addr())
		r.Path, r.TLS, r.AnyStatus = tt.path, tt.tls, tt.any
		r.Headers = []netprobe.Header{{Name: "host", Value: "podrt.example"}, {Name: "X-Number", Value: "1"}, {Name: "x-number", Value: "2"}}
		if got := answer(t, r); got != tt.want {
			t.Errorf("%q (TLS %t, any status %t): %q; want %q", tt.path, tt.tls, tt.any, got, tt.want)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests to another host; want none", n)
	}
}

// answer asks, and returns the message.
func answer(t *testing.T, r *netprobe.Request) string {
	t.Helper()
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), r.Timeout)
	defer cancel()
	return answerTo(ask(ctx, r)).Message
}

// TestAskHostile: whatever is answered, little of it is read, and not for longer than
// the request says.
func TestAskHostile(t *testing.T) {
	const short = 300 * time.Millisecond
	for _, tt := range []struct {
		name string
		kind netprobe.Kind
		do   func(net.Conn) int64 // how much it could say
		want string
		long bool // for as long as it may
	}{
		{"silence", netprobe.HTTP, func(c net.Conn) int64 { _, _ = io.Copy(io.Discard, c); return 0 }, "timed out", true},
		{"slow bytes", netprobe.HTTP, func(c net.Conn) int64 {
			for _, b := range []byte("HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", 1000)) {
				if _, err := c.Write([]byte{b}); err != nil {
					break
				}
				time.Sleep(short / 10)
			}
			return 0
		}, "timed out", true},
		{"another protocol", netprobe.HTTP, func(c net.Conn) int64 {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
			return 0
		}, "HTTP status 101", false},
		{"endless body", netprobe.HTTP, func(c net.Conn) int64 { return flood(c, "HTTP/1.1 200 OK\r\n\r\n", "x") }, "", false},
		{"endless body of a failure", netprobe.HTTP, func(c net.Conn) int64 { return flood(c, "HTTP/1.1 500 X\r\n\r\n", "x") }, "HTTP status 500: " + strings.Repeat("x", netprobe.MaxMessage-len("HTTP status 500: ")), false},
		{"endless headers", netprobe.HTTP, func(c net.Conn) int64 { return flood(c, "HTTP/1.1 200 OK\r\n", "a: b\r\n") }, "server response headers exceeded", false},
		{"endless status line", netprobe.HTTP, func(c net.Conn) int64 { return flood(c, "HTTP/1.1 200 ", "x") }, "server response headers exceeded", false},
		{"endless informational answers", netprobe.HTTP, func(c net.Conn) int64 { return flood(c, "", "HTTP/1.1 103 Early Hints\r\na: b\r\n\r\n") }, "server response headers exceeded", false},
		{"endless chunk extensions", netprobe.HTTP, func(c net.Conn) int64 {
			return flood(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "0;")
		}, "", false},
		{"no HTTP", netprobe.HTTP, func(c net.Conn) int64 { return flood(c, "", "\x00") }, "server response headers exceeded", false},
		{"closed", netprobe.HTTP, func(net.Conn) int64 { return 0 }, "", false},
		{"gRPC to HTTP/1", netprobe.GRPC, func(c net.Conn) int64 { return flood(c, "HTTP/1.1 200 OK\r\n\r\n", "x") }, "", false},
		{"gRPC of silence", netprobe.GRPC, func(c net.Conn) int64 { _, _ = io.Copy(io.Discard, c); return 0 }, "timed out", true},
		{"gRPC of endless settings", netprobe.GRPC, func(c net.Conn) int64 { return flood(c, "", "\x00\x00\x00\x04\x00\x00\x00\x00\x00") }, "timed out", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said := make(chan int64, 100)
			r := request(t, tt.kind, listen(t, func(c net.Conn) {
				// net/http takes what comes before its request for somebody else's.
				_, _ = c.Read(make([]byte, 1<<10))
				go func() { _, _ = io.Copy(io.Discard, c) }()
				said <- tt.do(c)
			}))
			if tt.long {
				r.Timeout = short
			}
			began := time.Now()
			got := answer(t, r)
			if !strings.Contains(got, tt.want) || tt.name != "endless body" && got == "" || len(got) > netprobe.MaxMessage {
				t.Errorf("message %q; want %q", got, tt.want)
			}
			if took := time.Since(began); took > 8*time.Second || tt.long && took < short {
				t.Errorf("that took %v", took)
			}
			// What the kernel's buffers take comes on top of what is read.
			if n := <-said; !tt.long && n > 16<<20 {
				t.Errorf("it could say %d bytes", n)
			}
		})
	}
}

func TestAskTCP(t *testing.T) {
	accepted := make(chan error, 1)
	open := listen(t, func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		accepted <- err
	})
	if got := answer(t, request(t, netprobe.TCP, open)); got != "" {
		t.Errorf("open port: %q; want success", got)
	}
	if err := <-accepted; err == nil {
		t.Error("something was sent")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if got := answer(t, request(t, netprobe.TCP, l.Addr())); !strings.Contains(got, "connection refused") {
		t.Errorf("closed port: %q; want connection refused", got)
	}
}

// TestAskGRPC talks to HTTP/2 of Go's, which knows no gRPC, in gRPC's form.
func TestAskGRPC(t *testing.T) {
	type reply struct {
		message         []byte
		status, comment string
		header          bool // the status is in the header
	}
	replies := map[string]reply{
		"":           {message: []byte{0, 0, 0, 0, 2, 1 << 3, 1}, status: "0"},
		"a":          {message: []byte{0, 0, 0, 0, 8, 5<<3 | 2, 1, 'x', 1 << 3, 1, 6 << 3, 0x80, 1}, status: "0"},
		"down":       {message: []byte{0, 0, 0, 0, 2, 1 << 3, 2}, status: "0"},
		"unknown":    {message: []byte{0, 0, 0, 0, 0}, status: "0"},
		"odd":        {message: []byte{0, 0, 0, 0, 2, 1 << 3, 9}, status: "0"},
		"missing":    {status: "5", comment: "unknown%20service", header: true},
		"none":       {status: "12", comment: "unknown service", header: true},
		"no status":  {message: []byte{0, 0, 0, 0, 2, 1 << 3, 1}},
		"short":      {message: []byte{0, 0, 0, 0, 3, 1 << 3, 1}, status: "0"},
		"compressed": {message: []byte{1, 0, 0, 0, 2, 1 << 3, 1}, status: "0"},
		"cut":        {message: []byte{0, 0, 0, 0, 2, 1 << 3, 0x80}, status: "0"},
		"lying":      {message: []byte{0, 0, 0, 0, 2, 2<<3 | 2, 0x7f}, status: "0"},
		"large":      {message: make([]byte, 1<<20), status: "0"},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		name := ""
		if len(body) > 7 {
			name = string(body[7:])
		}
		re, ok := replies[name]
		if !ok || r.Method != http.MethodPost || r.URL.Path != "/grpc.health.v1.Health/Check" || r.Header.Get("Content-Type") != "application/grpc" ||
			r.Header.Get("Te") != "trailers" || !bytes.Equal(body, healthRequest(name)) || r.ProtoMajor != 2 {
			t.Errorf("request %q %q %v %q; want another", r.Method, r.URL, r.Header, body)
		}
		w.Header().Set("Content-Type", "application/grpc")
		prefix := http.TrailerPrefix
		if re.header {
			prefix = ""
		}
		if re.status != "" {
			w.Header().Set(prefix+"Grpc-Status", re.status)
			w.Header().Set(prefix+"Grpc-Message", re.comment)
		}
		_, _ = w.Write(re.message)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	for service, want := range map[string]string{
		"": "", "a": "",
		"down":       `service "down" is NOT_SERVING`,
		"unknown":    `service "unknown" is UNKNOWN`,
		"odd":        `service "odd" is 9`,
		"missing":    "gRPC status 5: unknown service",
		"none":       "the server does not implement the gRPC health protocol (grpc.health.v1.Health)",
		"no status":  "an answer without a status, which is no gRPC",
		"short":      errHealthResponse.Error(),
		"compressed": errHealthResponse.Error(),
		"cut":        errHealthResponse.Error(),
		"lying":      errHealthResponse.Error(),
		"large":      "an answer of more than 10240 bytes",
	} {
		r := request(t, netprobe.GRPC, server.Listener.Addr())
		r.Service = service
		if got := answer(t, r); got != want {
			t.Errorf("service %q: %q; want %q", service, got, want)
		}
	}
}

func TestReadRequest(t *testing.T) {
	good := `{"protocol":1,"kind":"tcp","timeout":1000000000,"address":"127.0.0.1","port":80`
	for in, want := range map[string]string{
		good + `}`:               "",
		good + `} {}`:            "more than one JSON value",
		good + `,"x":1}`:         `json: unknown field "x"`,
		`{"protocol":2,"new":1}`: "protocol 2; this program speaks 1: it is of another version of podrt",
		``:                       "EOF",
		strings.Replace(good, "tcp", "udp", 1) + `}`:      `kind "udp" is not known`,
		strings.Replace(good, "1000000000", "0", 1) + `}`: "timeout 0s: must be greater than 0",
		strings.Replace(good, "127.0.0.1", "", 1) + `}`:   "address is needed, without a zone",
		strings.Replace(good, ":80", ":0", 1) + `}`:       "port is needed",
		strings.Replace(good, "127.0.0.1", "x", 1) + `}`:  `ParseAddr("x"): unable to parse IP`,
		strings.Replace(good, ":80", ":65536", 1) + `}`:   "json: cannot unmarshal number 65536 into Go struct field Request.port of type uint16",
	} {
		_, err := readRequest(strings.NewReader(in + "\n"))
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%s: %s; want %s", in, got, want)
		}
	}
}
