package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
)

// request is a line from the test: a verb. Of a verb that stays, Stay asks for
// the answer once it has printed its first line.
type request struct {
	Args []string `json:"args"`
	Stay bool     `json:"stay,omitempty"`
}

// reply is a line to the test, one for each request in turn, and one before
// them whose Out is the name.
type reply struct {
	Out   string `json:"out"`
	Error string `json:"error,omitempty"` // the errno's name or what describe says
}

// serve connects to the unix socket args[0], says that it is args[1], and runs
// the verbs that it is told until the test hangs up. The test listens before
// it starts the container: that it accepts tells that the container runs.
func serve(_ io.Writer, args []string) error {
	c, err := net.Dial("unix", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("ready")
	enc, dec := json.NewEncoder(c), json.NewDecoder(c)
	if err := enc.Encode(reply{Out: args[1]}); err != nil {
		return err
	}
	for {
		var q request
		if err := dec.Decode(&q); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := enc.Encode(q.run()); err != nil {
			return err
		}
	}
}

func (q request) run() reply {
	if !q.Stay {
		var out bytes.Buffer
		return answer(&out, run(&out, q.Args))
	}
	first := &firstLine{done: make(chan struct{})}
	failed := make(chan error, 1)
	go func() {
		err := run(first, q.Args)
		if err == nil {
			err = errors.New("ended")
		}
		failed <- err
	}()
	select {
	case <-first.done:
		return reply{Out: first.line()}
	case err := <-failed:
		return reply{Error: describe(err)}
	}
}

func answer(out *bytes.Buffer, err error) reply {
	r := reply{Out: strings.TrimSuffix(out.String(), "\n")}
	if err != nil {
		r.Error = describe(err)
	}
	return r
}

// firstLine holds what is written up to the first line's end; the rest goes to
// standard output.
type firstLine struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	full bool
	done chan struct{}
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return os.Stdout.Write(p)
	}
	f.buf.Write(p)
	if bytes.IndexByte(f.buf.Bytes(), '\n') >= 0 {
		f.full = true
		close(f.done)
	}
	return len(p), nil
}

func (f *firstLine) line() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.TrimSuffix(f.buf.String(), "\n")
}
