package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/podrt/podrt/netsetup"
)

// Set by the linker (-X main.version=… -X main.gitCommit=…).
var (
	version   = "0.0.0-dev"
	gitCommit string // of the source tree; empty when built outside of one
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// maxRequest is more than any request has.
const maxRequest = 1 << 20

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 1 && args[0] == "--version":
		fmt.Fprintf(stdout, "podrt-cni version %s\ncommit: %s\n", version, gitCommit)
		return 0
	case len(args) > 0:
		fmt.Fprintf(stderr, "podrt-cni: unknown argument %q: podrt executes it, with a request on standard input\n", args[0])
		return 2
	}
	// Plugins are stopped then, and what was begun is taken back.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var answer netsetup.CNIAnswer
	if err := serve(ctx, io.LimitReader(stdin, maxRequest), &answer); err != nil {
		answer.SetError(err)
	}
	if err := json.NewEncoder(stdout).Encode(answer); err != nil {
		fmt.Fprintf(stderr, "podrt-cni: write answer: %v\n", err)
		return 1
	}
	return 0
}

// serve reads a request and does it.
func serve(ctx context.Context, in io.Reader, answer *netsetup.CNIAnswer) error {
	r, err := readRequest(in)
	if err != nil {
		return fmt.Errorf("podrt-cni: read request: %w", err)
	}
	h := newHost(r)
	switch r.Op {
	case netsetup.CNIList:
		answer.Networks, err = h.list()
	case netsetup.CNIFind:
		answer.Networks, err = h.find(r.Network)
	case netsetup.CNIStatus:
		err = h.status(ctx, r.Network)
	case netsetup.CNIAdd:
		var p place
		p, err = h.add(ctx, *r.Attach)
		answer.Interface, answer.DNS = p.link, p.dns
	case netsetup.CNICheck:
		err = h.check(ctx, r.UID)
	case netsetup.CNIDel:
		err = h.del(ctx, r.UID)
	case netsetup.CNIGC:
		err = h.gc(ctx, r.Network)
	default:
		err = fmt.Errorf("podrt-cni: operation %q is not known", r.Op)
	}
	return err
}

// readRequest reads a request and checks what every operation relies on.
func readRequest(in io.Reader) (r netsetup.CNIRequest, err error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return r, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var version struct{ Protocol int }
	if json.Unmarshal(text, &version) == nil && version.Protocol != netsetup.CNIProtocol {
		return r, fmt.Errorf("protocol %d; this program speaks %d: it is of another version of podrt", version.Protocol, netsetup.CNIProtocol)
	}
	if err := dec.Decode(&r); err != nil {
		return r, err
	}
	if dec.More() {
		return r, fmt.Errorf("more than one JSON value")
	}
	if len(r.BinDirs) == 0 || len(r.ConfDirs) == 0 || r.CacheDir == "" || r.AddTimeout <= 0 || r.DelTimeout <= 0 {
		return r, fmt.Errorf("confDirs, binDirs, cacheDir, addTimeout and delTimeout are needed")
	}
	switch r.Op {
	case netsetup.CNIFind, netsetup.CNIStatus, netsetup.CNIGC:
		err = netsetup.CheckCNINetwork(r.Network)
	case netsetup.CNIAdd:
		if r.Attach == nil {
			return r, fmt.Errorf("attach is needed")
		}
		if err = r.Attach.Check(); err == nil && (r.UID != r.Attach.UID || r.Network != r.Attach.Network) {
			err = fmt.Errorf("uid %q and network %q are not attach's", r.UID, r.Network)
		}
	case netsetup.CNICheck, netsetup.CNIDel:
		err = netsetup.CheckCNIPod(r.UID)
	}
	return r, err
}
