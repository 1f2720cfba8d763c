package sandbox

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/podrt/podrt/netsetup"
	"github.com/podrt/podrt/nsenter"
)

// podKinds are the words of Share.
const podKinds = "net, ipc, uts, pid, cgroup, time, user"

func (s *PodSpec) validateNamespaces(ps *problems) {
	for _, list := range []struct {
		path  string
		kinds []string
	}{{"share", s.Share}, {"host", s.Host}} {
		if n := len(list.kinds); n > 7 {
			ps.addf(list.path, "%d entries: there are 7 kinds: %s", n, podKinds)
			return
		}
	}
	for i, kind := range s.Share {
		at := indexPath("share", i)
		switch nsenter.Kind(kind) {
		case nsenter.Net, nsenter.IPC, nsenter.UTS, nsenter.PID, nsenter.Cgroup, nsenter.Time:
		case nsenter.User:
			if s.UserNamespace == nil {
				ps.addf(at, "%q: needs userNamespace", kind)
			}
		default:
			ps.addf(at, "%s: must be one of %s", quoteShort(kind), podKinds)
		}
		if slices.Contains(s.Share[:i], kind) {
			ps.addf(at, "%q: listed twice", kind)
		}
	}
	for i, kind := range s.Host {
		at := indexPath("host", i)
		switch nsenter.Kind(kind) {
		case nsenter.IPC, nsenter.PID, nsenter.UTS:
			if slices.Contains(s.Share, kind) {
				ps.addf(at, "%q: is in share, too; the containers use the pod's namespace or the host's, not both", kind)
			}
		case nsenter.Net:
			ps.addf(at, `"net": the host's network is network.mode "host"`)
		default:
			ps.addf(at, "%s: must be one of ipc, pid, uts", quoteShort(kind))
		}
		if slices.Contains(s.Host[:i], kind) {
			ps.addf(at, "%q: listed twice", kind)
		}
	}
	s.validateHostname(ps)
	s.validateSysctls(ps)
}

// owns tells whether the pod has a namespace of that kind of its own.
func (s *PodSpec) owns(kind nsenter.Kind) bool {
	return slices.Contains(s.Share, string(kind)) && !slices.Contains(s.Host, string(kind))
}

func (s *PodSpec) validateHostname(ps *problems) {
	for _, name := range []struct {
		path, value string
		check       func(string) error
	}{
		{"hostname", s.Hostname, netsetup.CheckHostname},
		{"domainname", s.Domainname, netsetup.CheckDomainname},
	} {
		if slices.Contains(s.Host, string(nsenter.UTS)) {
			if name.value != "" {
				ps.addf(name.path, `%s: cannot be set with "uts" in host: it would be the host's`, quoteShort(name.value))
			}
		} else if name.value == "" && !isPodName(s.Metadata.Name) {
			continue // the default, which would be made of the name
		} else if err := name.check(name.value); err != nil {
			ps.addf(name.path, "%s", strings.TrimPrefix(err.Error(), name.path+" "))
		}
	}
}

// validateSysctls checks each sysctl: that it is one of a namespace, and that
// the pod has that namespace for itself. Any other would be changed for the
// host, another pod or nobody.
func (s *PodSpec) validateSysctls(ps *problems) {
	bad := false
	noNet, noIPC := s.lacks(nsenter.Net), s.lacks(nsenter.IPC)
	for _, key := range slices.Sorted(maps.Keys(s.Sysctls)) {
		at := memberPath("sysctls", key)
		one := map[string]string{key: s.Sysctls[key]}
		switch err := nsenter.ValidateSysctls(one, false, false); {
		case err != nil:
			bad = true
			_, problem, _ := strings.Cut(err.Error(), strconv.Quote(key))
			ps.addf(at, "%s", strings.TrimPrefix(strings.TrimPrefix(problem, ":"), " "))
		case noNet != "" && nsenter.ValidateSysctls(one, true, false) != nil:
			ps.addf(at, "%s: the pod has no network namespace of its own: %s", quoteShort(s.Sysctls[key]), noNet)
		case noIPC != "" && nsenter.ValidateSysctls(one, false, true) != nil:
			ps.addf(at, "%s: the pod has no IPC namespace of its own: %s", quoteShort(s.Sysctls[key]), noIPC)
		}
	}
	if !bad {
		if err := nsenter.ValidateSysctls(s.Sysctls, false, false); err != nil { // one setting, spelled twice
			ps.addf("sysctls", "%v", err)
		}
	}
}

// ownNetwork reports whether the network namespace that the pod shares is made
// for it.
func (s *PodSpec) ownNetwork() bool {
	mode, err := netsetup.ParseMode(s.Network.Mode)
	return err == nil && mode.Own()
}

// lacks says why the pod has no namespace of that kind for itself; "" if it has.
func (s *PodSpec) lacks(kind nsenter.Kind) string {
	switch {
	case slices.Contains(s.Host, string(kind)):
		return strconv.Quote(string(kind)) + " is in host"
	case !slices.Contains(s.Share, string(kind)):
		return strconv.Quote(string(kind)) + " is not in share"
	case kind == nsenter.Net && !s.ownNetwork():
		return "network.mode is " + quoteShort(s.Network.Mode)
	}
	return ""
}

func (s *PodSpec) validateTimeOffsets(ps *problems) {
	if len(s.TimeOffsets) > 0 && !s.owns(nsenter.Time) {
		ps.addf("timeOffsets", `needs "time" in share`)
	}
	for _, clock := range slices.Sorted(maps.Keys(s.TimeOffsets)) {
		at := memberPath("timeOffsets", clock)
		if clock != "monotonic" && clock != "boottime" {
			ps.addf(at, "unknown clock; must be monotonic or boottime")
		}
		if n := s.TimeOffsets[clock].Nanosecs; n >= 1e9 {
			ps.addf(at+".nanosecs", "%d: must be at most 999999999", n)
		}
	}
}
