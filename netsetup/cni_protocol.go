package netsetup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
)

// CNIProtocol is the version of [CNIRequest] and [CNIAnswer]. podrt and
// podrt-cni are installed together; another one's program is refused.
const CNIProtocol = 1

// CNIPodEnv names the variable in podrt-cni's environment that holds the UID of
// the pod for which it works. What it executes inherits it, so that whatever is
// left of a killed one can be found.
const CNIPodEnv = "PODRT_CNI_POD"

// The operations of a [CNIRequest].
const (
	CNIList   = "list"
	CNIFind   = "find"
	CNIStatus = "status"
	CNIAdd    = "add"
	CNICheck  = "check"
	CNIDel    = "del"
	CNIGC     = "gc"
)

// CNIRequest is what podrt-cni reads on its standard input: one JSON value.
type CNIRequest struct {
	Protocol   int           `json:"protocol"`
	Op         string        `json:"op"`
	ConfDirs   []string      `json:"confDirs"`
	BinDirs    []string      `json:"binDirs"`
	CacheDir   string        `json:"cacheDir"`
	AddTimeout time.Duration `json:"addTimeout"`        // ns
	DelTimeout time.Duration `json:"delTimeout"`        // ns
	Network    string        `json:"network,omitempty"` // of find, status, add, gc
	UID        string        `json:"uid,omitempty"`     // of add, check, del
	Attach     *CNIAttach    `json:"attach,omitempty"`  // of add
}

// CNIAnswer is what podrt-cni writes on its standard output: one JSON value.
type CNIAnswer struct {
	Error     string       `json:"error,omitempty"`
	Kinds     []string     `json:"kinds,omitempty"`     // of Error: names in cniErrors
	Networks  []CNINetwork `json:"networks,omitempty"`  // of list, find
	Interface *Interface   `json:"interface,omitempty"` // of add
	DNS       DNS          `json:"dns,omitzero"`        // of add
}

// cniErrors are what the caller may want to know of an error.
func cniErrors() map[string]error {
	return map[string]error{
		"not-exist":   fs.ErrNotExist,
		"timeout":     context.DeadlineExceeded,
		"unsupported": errors.ErrUnsupported,
	}
}

// SetError makes err the answer's.
func (a *CNIAnswer) SetError(err error) {
	a.Error = err.Error()
	for kind, is := range cniErrors() {
		if errors.Is(err, is) {
			a.Kinds = append(a.Kinds, kind)
		}
	}
}

// err returns what SetError was given, as far as it is known here.
func (a *CNIAnswer) err() error {
	if a.Error == "" {
		return nil
	}
	e := &cniError{text: a.Error}
	for _, kind := range a.Kinds {
		if is := cniErrors()[kind]; is != nil {
			e.is = append(e.is, is)
		}
	}
	return e
}

// cniError is an error that podrt-cni has reported.
type cniError struct {
	text string
	is   []error
}

func (e *cniError) Error() string   { return e.text }
func (e *cniError) Unwrap() []error { return e.is }

// maxCNINetwork is the most bytes that a network's name may have: libcni has it in
// the name of a file, beside a pod's UID.
const maxCNINetwork = 100

// CheckCNINetwork reports what is wrong with the name of a network of CNI.
func CheckCNINetwork(name string) error {
	if !validPod(name) || len(name) > maxCNINetwork {
		return fmt.Errorf("CNI network %q: a name must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,%d}", name, maxCNINetwork-1)
	}
	return nil
}

// CheckCNIPod reports what is wrong with a pod's UID.
func CheckCNIPod(uid string) error {
	if !validPod(uid) {
		return fmt.Errorf("pod UID %q is not valid", uid)
	}
	return nil
}

// Check reports what is wrong with a. It touches nothing.
func (a *CNIAttach) Check() error {
	if err := CheckCNIPod(a.UID); err != nil {
		return err
	}
	if err := CheckCNINetwork(a.Network); err != nil {
		return err
	}
	for _, word := range []struct{ field, value string }{{"name", a.Name}, {"namespace", a.Namespace}} {
		// CNI_ARGS is a list of K=V with ";" between them.
		if strings.ContainsFunc(word.value, func(r rune) bool { return r == ';' || r == '=' || r < ' ' || r == 0x7f }) {
			return fmt.Errorf("%s %q of the pod cannot be told to CNI plugins: it has one of \";\", \"=\" or a control character", word.field, word.value)
		}
	}
	if !filepath.IsAbs(a.Netns) {
		return fmt.Errorf("network namespace %q of pod %q is not an absolute path", a.Netns, a.UID)
	}
	for i, ip := range a.IPs {
		if err := checkHostAddr(ip); err != nil {
			return fmt.Errorf("ips[%d]: %w", i, err)
		}
	}
	if a.MAC != "" {
		if mac, err := net.ParseMAC(a.MAC); err != nil || len(mac) != 6 || mac[0]&1 != 0 {
			return fmt.Errorf("mac %q is not the address of one Ethernet interface", a.MAC)
		}
	}
	for i, p := range a.Ports {
		if err := checkCNIPort(p); err != nil {
			return fmt.Errorf("ports[%d]: %w", i, err)
		}
	}
	return a.DNS.Check()
}

// checkHostAddr reports why ip cannot be the address of one interface.
func checkHostAddr(ip netip.Addr) error {
	if !ip.IsValid() || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || ip.Is4In6() {
		return fmt.Errorf("%q is not the address of one interface", ip)
	}
	return nil
}

func checkCNIPort(p Port) error {
	if err := p.check(); err != nil {
		return err
	}
	if p.HostPort == 0 {
		return fmt.Errorf("container port %d/%s has no host port: plugins of CNI choose none", p.ContainerPort, p.Protocol)
	}
	return nil
}
