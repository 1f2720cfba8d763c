package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/podrt/podrt/netprobe"
)

// Set by the linker (-X main.version=… -X main.gitCommit=…).
var (
	version   = "0.0.0-dev"
	gitCommit string // of the source tree; empty when built outside of one
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// maxRequest is more than any pod.json has.
const maxRequest = 8 << 20

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 1 && args[0] == "--version":
		fmt.Fprintf(stdout, "podrt-probe version %s\ncommit: %s\n", version, gitCommit)
		return 0
	case len(args) > 0:
		fmt.Fprintf(stderr, "podrt-probe: unknown argument %q: podrt executes it, with a request on standard input\n", args[0])
		return 2
	}
	log.SetOutput(io.Discard) // net/http's, of answers that are odd
	if err := json.NewEncoder(stdout).Encode(serve(stdin)); err != nil {
		fmt.Fprintf(stderr, "podrt-probe: write answer: %v\n", err)
		return 1
	}
	return 0
}

func serve(in io.Reader) netprobe.Answer {
	if err := dropPrivileges(); err != nil {
		return netprobe.Answer{Error: err.Error()}
	}
	r, err := readRequest(io.LimitReader(in, maxRequest))
	if err != nil {
		return netprobe.Answer{Error: "read request: " + err.Error()}
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(1) // nobody waits for the answer
	}()
	ctx, cancel := context.WithTimeout(context.Background(), r.Timeout)
	defer cancel()
	return answerTo(ask(ctx, r))
}

// answerTo is the answer with the failure that err says, if it does.
func answerTo(err error) netprobe.Answer {
	switch {
	case err == nil:
		return netprobe.Answer{OK: true}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return netprobe.Answer{Message: "timed out"}
	}
	return netprobe.Answer{Message: printable(err.Error())}
}

// readRequest reads one line.
func readRequest(in io.Reader) (*netprobe.Request, error) {
	text, err := bufio.NewReader(in).ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var version struct{ Protocol int }
	if json.Unmarshal(text, &version) == nil && version.Protocol != netprobe.Protocol {
		return nil, (&netprobe.Request{Protocol: version.Protocol}).Check()
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	r := new(netprobe.Request)
	if err := dec.Decode(r); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one JSON value")
	}
	return r, r.Check()
}

// ask asks; its error is what podrt calls a failure.
func ask(ctx context.Context, r *netprobe.Request) error {
	switch r.Kind {
	case netprobe.HTTP:
		return askHTTP(ctx, r)
	case netprobe.GRPC:
		return askGRPC(ctx, r)
	}
	conn, err := dial(ctx, r)
	if err != nil {
		return err
	}
	return conn.Close()
}

// printable is a message that whoever answered may have had a say in.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+utf8.RuneLen(r) > netprobe.MaxMessage {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
