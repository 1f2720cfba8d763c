package integration

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// agentLimit bounds how long an agent may take to come up and to answer.
const agentLimit = 20 * time.Second

// agent is the init of a container, "probe serve", as the test talks to it. It
// does what the test asks in its own process.
type agent struct {
	name string
	conn *net.UnixConn
	dec  *json.Decoder
}

type agentReply struct{ Out, Error string }

// agent returns the agent of a container that has just been started, once it has
// connected.
func (w *world) agent(t *testing.T, pod, container string) *agent {
	t.Helper()
	want := pod + "/" + container
	for w.agents[want] == nil {
		if err := w.socket.SetDeadline(time.Now().Add(agentLimit)); err != nil {
			t.Fatal(err)
		}
		conn, err := w.socket.AcceptUnix()
		if err != nil {
			t.Fatalf("wait for agent %s: %v", want, err)
		}
		a := &agent{conn: conn, dec: json.NewDecoder(conn)}
		hello := a.receive(t)
		a.name = hello.Out
		if old := w.agents[a.name]; old != nil {
			_ = old.conn.Close()
		}
		w.agents[a.name] = a
	}
	a := w.agents[want]
	return a
}

// forget has the next agent of that name be waited for: its container is gone
// or about to be started again.
func (w *world) forget(pod, container string) {
	name := pod + "/" + container
	if a := w.agents[name]; a != nil {
		_ = a.conn.Close()
		delete(w.agents, name)
	}
}

func (a *agent) send(t *testing.T, stay bool, args []string) {
	t.Helper()
	q := struct {
		Args []string `json:"args"`
		Stay bool     `json:"stay"`
	}{args, stay}
	if err := json.NewEncoder(a.conn).Encode(q); err != nil {
		t.Fatalf("%s: tell %q: %v", a.name, args, err)
	}
}

func (a *agent) receive(t *testing.T) agentReply {
	t.Helper()
	r, err := a.tryReceive(agentLimit)
	if err != nil {
		t.Fatalf("%s: wait for the answer: %v", a.name, err)
	}
	return r
}

// tryReceive waits for an answer, os.ErrDeadlineExceeded if none comes within
// limit. What has come of it until then is not lost.
func (a *agent) tryReceive(limit time.Duration) (r agentReply, err error) {
	if err := a.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return r, err
	}
	err = a.dec.Decode(&r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// A decoder does not go on after an error.
		a.dec = json.NewDecoder(io.MultiReader(a.dec.Buffered(), a.conn))
	}
	return r, err
}

// ask has the agent do what verb says, which must succeed, and returns what it
// prints.
func (a *agent) ask(t *testing.T, args ...string) string {
	t.Helper()
	a.send(t, false, args)
	r := a.receive(t)
	if r.Error != "" {
		t.Fatalf("%s: %q: %s; want success", a.name, args, r.Error)
	}
	return r.Out
}

// want asks, and compares.
func (a *agent) want(t *testing.T, want string, args ...string) {
	t.Helper()
	if got := a.ask(t, args...); got != want {
		t.Errorf("%s: %q: %q; want %q", a.name, args, got, want)
	}
}

// refused has the agent do what must fail with the errno of that name.
func (a *agent) refused(t *testing.T, errno string, args ...string) {
	t.Helper()
	a.send(t, false, args)
	a.wantError(t, errno, args)
}

// stayRefused is refused for a verb that would stay.
func (a *agent) stayRefused(t *testing.T, errno string, args ...string) {
	t.Helper()
	a.send(t, true, args)
	a.wantError(t, errno, args)
}

func (a *agent) wantError(t *testing.T, errno string, args []string) {
	t.Helper()
	if r := a.receive(t); r.Error != errno {
		t.Errorf("%s: %q: error %q, output %q; want error %s", a.name, args, r.Error, r.Out, errno)
	}
}

// stay has the agent begin what it does until it ends, and returns the first
// line that it prints.
func (a *agent) stay(t *testing.T, args ...string) string {
	t.Helper()
	a.send(t, true, args)
	r := a.receive(t)
	if r.Error != "" {
		t.Fatalf("%s: %q: %s; want success", a.name, args, r.Error)
	}
	return r.Out
}

// awaitEnd returns when the agent's process has ended.
func (a *agent) awaitEnd(t *testing.T) {
	t.Helper()
	if r, err := a.tryReceive(agentLimit); !errors.Is(err, io.EOF) {
		// A killed process with an unread request resets the connection.
		var reset *net.OpError
		if !errors.As(err, &reset) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%s: answers %+v, %v; want it to end", a.name, r, err)
		}
	}
}

// namespaces are the agent's, by the name in /proc/self/ns: "net:[4026531840]".
func (a *agent) namespaces(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for line := range strings.Lines(a.ask(t, "ns")) {
		kind, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		all[kind] = name
	}
	return all
}
