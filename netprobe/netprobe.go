// Package netprobe is what podrt and podrt-probe say to each other: one request on
// the standard input of podrt-probe, which is executed in the network namespace of
// a pod, and one answer on its standard output, as JSON on a line. When its standard
// input ends before the answer, podrt-probe does.
package netprobe

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Protocol is the version of the two; podrt-probe knows one.
const Protocol = 1

// Kind is what podrt-probe asks.
type Kind string

// Kinds of requests.
const (
	HTTP Kind = "http" // GET; succeeds with a status of 200 to 399
	TCP  Kind = "tcp"  // connect; succeeds with the connection
	GRPC Kind = "grpc" // grpc.health.v1.Health/Check; succeeds with SERVING
)

// Request is what podrt-probe is to ask.
type Request struct {
	Protocol int           `json:"protocol"`
	Kind     Kind          `json:"kind"`
	Timeout  time.Duration `json:"timeout"` // of all of it
	Address  netip.Addr    `json:"address"`
	Port     uint16        `json:"port"`

	// Of HTTP.
	TLS       bool     `json:"tls,omitempty"` // without verification of the certificate
	Path      string   `json:"path,omitempty"`
	Headers   []Header `json:"headers,omitempty"`
	AnyStatus bool     `json:"anyStatus,omitempty"` // an answer of any status is a success

	Service string `json:"service,omitempty"` // of GRPC
}

// Header is one of a request of HTTP.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Answer is what came of it.
type Answer struct {
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"` // of a failure; at most MaxMessage bytes of printable UTF-8
	Error   string `json:"error,omitempty"`   // why it could not be asked
}

// MaxMessage bounds a message. Whoever answers a probe has a say in it.
const MaxMessage = 1024

// Check returns what is wrong with a request.
func (r *Request) Check() error {
	switch {
	case r.Protocol != Protocol:
		return fmt.Errorf("protocol %d; this program speaks %d: it is of another version of podrt", r.Protocol, Protocol)
	case r.Kind != HTTP && r.Kind != TCP && r.Kind != GRPC:
		return fmt.Errorf("kind %q is not known", r.Kind)
	case r.Timeout <= 0:
		return fmt.Errorf("timeout %v: must be greater than 0", r.Timeout)
	case !r.Address.IsValid() || r.Address.Zone() != "":
		return errors.New("address is needed, without a zone")
	case r.Port == 0:
		return errors.New("port is needed")
	}
	return nil
}
