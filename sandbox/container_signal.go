package sandbox

import (
	"strings"

	"github.com/tidwall/gjson"
	"golang.org/x/sys/unix"
)

// SignalInit sends sig to the init of the container with that id by its files
// alone, as readState reads them. Where that is not all there is to it (a
// container that does not run, is paused, or whose other processes SIGKILL would
// leave) it sends nothing and reports false: then Container.Signal does it, or
// says why not.
func SignalInit(root, id string, sig unix.Signal) bool {
	if id == "" || id == "." || id == ".." || strings.Contains(id, "/") {
		return false
	}
	buf := make([]byte, stateFileMax)
	b, err := readSmall(root+"/"+id+"/state.json", buf)
	if err != nil {
		return false
	}
	f, ok := parseStateFile(b)
	if !ok || f.id != id || sig == unix.SIGKILL && !ownPIDs(b) {
		return false
	}
	if freeze, err := readSmall(f.cgroup+"/cgroup.freeze", buf); err != nil || string(freeze) != "0\n" {
		return false
	}
	init, err := openProcess(f.pid, f.start)
	if err != nil {
		return false
	}
	defer init.Close()
	return unix.PidfdSendSignal(int(init.Fd()), sig, nil, 0) == nil
}

// ownPIDs is Container.ownsPIDs by a state.json.
func ownPIDs(json []byte) (own bool) {
	gjson.GetBytes(json, "config.namespaces").ForEach(func(_, ns gjson.Result) bool {
		if ns.Get("type").String() == "NEWPID" {
			own = ns.Get("path").String() == ""
			return false
		}
		return true
	})
	return own
}
