package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// noServer is a name server that refuses at once, so that unknown names are
// unknown soon.
var noServer = []string{"--dns", "127.0.0.9"}

// wantNames compares what a container finds for names: addresses in any order, "" if
// there is no such name.
func wantNames(t *testing.T, a *agent, names map[string]string) {
	t.Helper()
	for name, want := range names {
		a.send(t, false, []string{"lookup", name})
		r := a.receive(t)
		got := r.Out
		if r.Error == "unknown name" {
			got = ""
		} else if r.Error != "" {
			t.Errorf("%s: look up %q: %s; want %q", a.name, name, r.Error, want)
			continue
		}
		if sortedWords(got) != sortedWords(want) {
			t.Errorf("%s: name %q is %q; want %q", a.name, name, got, want)
		}
	}
}

func sortedWords(s string) string {
	return strings.Join(slices.Sorted(slices.Values(strings.Fields(s))), " ")
}

// both are the pod's addresses.
func (p *netPod) both() string {
	var all []string
	for _, a := range p.info.Interface.Addresses {
		all = append(all, a.Addr().String())
	}
	return strings.Join(all, " ")
}

// TestNetworkNames: pods of one network find each other by name, those that run
// already too.
func TestNetworkNames(t *testing.T) {
	natively(t)
	w := newNetWorld(t)
	w.ok(t, "network", "create", "one")
	w.ok(t, "network", "create", "--disable-dns", "mute")
	on := func(network string, more ...string) []string {
		return append(append([]string{"--network", network}, noServer...), more...)
	}
	web := w.pod(t, "web", on("one", "--add-host", "bank:192.0.2.50", "--dns-search", "corp.example", "--dns-option", "ndots:2")...)
	inode := func(t *testing.T) uint64 {
		t.Helper()
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(w.lib, "pods", web.uid, "files/hosts"), &st); err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	before := inode(t)
	wantNames(t, web.agent, map[string]string{"web": web.both(), "db": "", "bank": "192.0.2.50", "localhost": "127.0.0.1 ::1"})
	web.want(t, "# Written by podrt.\nsearch corp.example\nnameserver 127.0.0.9\noptions ndots:2", "read", "/etc/resolv.conf")

	db := w.pod(t, "db", on("one", "--hostname", "store")...)
	elsewhere := w.pod(t, "elsewhere", on("bridge")...)
	wantNames(t, web.agent, map[string]string{"db": db.both(), "store": db.both(), "web": web.both(), "bank": "192.0.2.50", "elsewhere": ""})
	wantNames(t, db.agent, map[string]string{"web": web.both(), "store": db.both(), "bank": ""})
	wantNames(t, elsewhere.agent, map[string]string{"web": "", "db": ""})
	web.reach(t, "db:80", "db for") // its resolver has not read the file yet

	// Containers write there, and lose nothing but the names of others.
	web.ask(t, "write", "/etc/hosts", web.ask(t, "read", "/etc/hosts")+"\n192.0.2.51 mine\n")
	w.ok(t, "pod", "rm", "-f", "db")
	w.forget("db", "c")
	wantNames(t, web.agent, map[string]string{"db": "", "store": "", "web": web.both(), "bank": "192.0.2.50"})
	late := w.pod(t, "db", on("one")...)
	wantNames(t, web.agent, map[string]string{"db": late.both(), "store": ""})
	if after := inode(t); after != before {
		t.Errorf("inode of the hosts file is %d; want %d still, which the container has mounted", after, before)
	}
	w.ok(t, "network", "reload")
	wantNames(t, web.agent, map[string]string{"db": late.both(), "web": web.both(), "bank": "192.0.2.50"})

	m, n := w.pod(t, "m", on("mute")...), w.pod(t, "n", on("mute")...)
	wantNames(t, m.agent, map[string]string{"m": m.both(), "n": ""})
	wantNames(t, n.agent, map[string]string{"m": "", "n": n.both()})
	m.reach(t, n.addr(t, false, "80"), "n for")

	t.Run("names that clash", func(t *testing.T) {
		// The pod's own name is its own, whatever another says of itself.
		w.pod(t, "liar", on("one", "--hostname", "web")...)
		wantNames(t, web.agent, map[string]string{"web": web.both()})
		w.ok(t, "pod", "rm", "-f", "liar")
		w.forget("liar", "c")
	})
	t.Run("hosts file of a hostile container", func(t *testing.T) {
		// Whatever it is made to hold, a neighbour comes and goes.
		for _, text := range []string{"", "\x00\x01garbage", strings.Repeat("192.0.2.9 x\n", 5000)} {
			web.ask(t, "write", "/etc/hosts", text)
			w.bare(t, "passer", on("one")...)
			w.ok(t, "pod", "rm", "passer")
		}
		wantNames(t, late.agent, map[string]string{"web": web.both(), "passer": ""})
	})
	t.Run("hosts file that cannot be written", func(t *testing.T) {
		// As a container can that owns it: who opens it to write waits for
		// fs.lease-break-time, or, as here, gets EAGAIN.
		hosts, err := os.Open(filepath.Join(w.lib, "pods", web.uid, "files/hosts"))
		if err != nil {
			t.Fatal(err)
		}
		defer hosts.Close()
		if _, err := unix.FcntlInt(hosts.Fd(), unix.F_SETLEASE, unix.F_RDLCK); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		passer := w.bare(t, "passer", on("one")...)
		wantNames(t, late.agent, map[string]string{"passer": passer.both()})
		w.ok(t, "pod", "rm", "passer")
		wantNames(t, late.agent, map[string]string{"passer": ""})
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("a lease on a neighbour's hosts file has a pod take %s", took)
		}
		if r := w.podrt(t, "network", "reload"); r.code == 0 || !strings.Contains(r.stderr, hosts.Name()) {
			t.Errorf("network reload = %d, %q; want an error that names %s", r.code, r.stderr, hosts.Name())
		}
		hosts.Close()
		w.ok(t, "network", "reload")
	})
	t.Run("name of a pod that was killed", func(t *testing.T) {
		ghost := w.bare(t, "ghost", on("one")...)
		wantNames(t, web.agent, map[string]string{"ghost": ghost.both()})
		// The record is what it was before the pod told its name.
		path := filepath.Join(w.run, "pods", ghost.uid, "pod.json")
		var record map[string]any
		if err := json.Unmarshal([]byte(readFile(t, path)), &record); err != nil {
			t.Fatal(err)
		}
		record["network"], record["ready"] = struct{}{}, false
		text, err := json.Marshal(record)
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.ok(t, "pod", "rm", "-f", "ghost")
		wantNames(t, web.agent, map[string]string{"ghost": ""})
	})
}
