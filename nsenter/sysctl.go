package nsenter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sysctlValueMax is the longest value the kernel takes: a page less the NUL.
const sysctlValueMax = 4095 // bytes

// ValidateSysctls checks that each name is of a setting that belongs to a
// namespace of the pod: net.*, kernel.shm*, kernel.msg*, kernel.sem,
// fs.mqueue.*. hostNet and hostIPC say that the pod uses the host's network or
// IPC namespace; then the settings of that one are refused, too. Names are as
// in sysctl(8), with dots or slashes: net.ipv4.conf.eth0/100.forwarding is
// net/ipv4/conf/eth0.100/forwarding.
//
// Whether the kernel has a setting, and takes the value, is known only when it
// is written.
func ValidateSysctls(m map[string]string, hostNet, hostIPC bool) error {
	_, err := sysctls(m, hostNet, hostIPC)
	return err
}

// setting is a checked sysctl.
type setting struct {
	name  string // as it was given
	path  string // relative to /proc/sys
	value string // without blanks around it
}

// sysctls returns what m asks for in the order in which it is written.
func sysctls(m map[string]string, hostNet, hostIPC bool) ([]setting, error) {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names) // so that the same error comes each time
	settings := make([]setting, 0, len(m))
	for _, name := range names {
		path, err := sysctlPath(name)
		if err != nil {
			return nil, err
		}
		if err := checkNamespaced(name, path, hostNet, hostIPC); err != nil {
			return nil, err
		}
		value := strings.TrimSpace(m[name])
		switch {
		case value == "":
			return nil, fmt.Errorf("sysctl %q: empty value", name)
		case len(value) > sysctlValueMax:
			return nil, fmt.Errorf("sysctl %q: value of %d bytes, at most %d", name, len(value), sysctlValueMax)
		case strings.ContainsAny(value, "\x00\n"):
			return nil, fmt.Errorf("sysctl %q: value %q is not one line of text", name, value)
		}
		if path == "net/ipv4/ip_local_reserved_ports" {
			value = foldPorts(value)
		}
		settings = append(settings, setting{name, path, value})
	}
	slices.SortFunc(settings, compareSettings)
	for i := 1; i < len(settings); i++ {
		if a, b := settings[i-1], settings[i]; a.path == b.path {
			return nil, fmt.Errorf("sysctl %q is also given as %q", b.name, a.name)
		}
	}
	return settings, nil
}

// compareSettings orders by path, but puts first the switches that set others
// back: forwarding turns what a host wants into what a router wants.
func compareSettings(a, b setting) int {
	if ra, rb := resetsOthers(a.path), resetsOthers(b.path); ra != rb {
		if ra {
			return -1
		}
		return 1
	}
	return strings.Compare(a.path, b.path)
}

func resetsOthers(path string) bool {
	return path == "net/ipv4/ip_forward" ||
		path == "net/ipv4/conf/all/forwarding" ||
		path == "net/ipv6/conf/all/forwarding"
}

// sysctlPath returns a name as a path below /proc/sys. As in sysctl(8), the
// separator that comes first is the separator, and the other stands for it
// within a component.
func sysctlPath(name string) (string, error) {
	path := name
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		swapped := []byte(name)
		for i, c := range swapped {
			switch c {
			case '.':
				swapped[i] = '/'
			case '/':
				swapped[i] = '.'
			}
		}
		path = string(swapped)
	}
	if strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("sysctl %q: not a name", name)
	}
	for c := range strings.SplitSeq(path, "/") {
		switch c {
		case "":
			return "", fmt.Errorf("sysctl %q: empty component", name)
		case ".", "..":
			return "", fmt.Errorf("sysctl %q: component %q", name, c)
		}
	}
	return path, nil
}

func checkNamespaced(name, path string, hostNet, hostIPC bool) error {
	dir, rest, _ := strings.Cut(path, "/")
	switch {
	case rest == "":
		// Not even a directory's name is a setting.
	case dir == "net":
		if hostNet {
			return fmt.Errorf("sysctl %q belongs to the network namespace, and the pod uses the host's", name)
		}
		return nil
	case dir == "kernel" && isIPC(rest), dir == "fs" && strings.HasPrefix(rest, "mqueue/"):
		if hostIPC {
			return fmt.Errorf("sysctl %q belongs to the IPC namespace, and the pod uses the host's", name)
		}
		return nil
	case path == "kernel/hostname", path == "kernel/domainname":
		return fmt.Errorf("sysctl %q: set the pod's %s instead", name, rest)
	}
	return fmt.Errorf("sysctl %q does not belong to a namespace of a pod (net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* do)", name)
}

// isIPC tells whether /proc/sys/kernel/name is of the IPC namespace.
func isIPC(name string) bool {
	if strings.Contains(name, "/") {
		return false
	}
	return name == "sem" || strings.HasPrefix(name, "shm") || strings.HasPrefix(name, "msg")
}

// foldPorts writes a list of ports and port ranges as the kernel will give it
// back: sorted, and joined where they touch. What it does not understand it
// leaves to the kernel to refuse.
func foldPorts(list string) string {
	type portRange struct{ first, last uint16 }
	var ranges []portRange
	for item := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(item, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err1 != nil || err2 != nil || last < first {
			return list
		}
		ranges = append(ranges, portRange{uint16(first), uint16(last)})
	}
	slices.SortFunc(ranges, func(a, b portRange) int { return int(a.first) - int(b.first) })
	joined := ranges[:1]
	for _, r := range ranges[1:] {
		if end := &joined[len(joined)-1]; int(r.first) <= int(end.last)+1 {
			end.last = max(end.last, r.last)
		} else {
			joined = append(joined, r)
		}
	}
	var b strings.Builder
	for i, r := range joined {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(r.first)))
		if r.last > r.first {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(int(r.last)))
		}
	}
	return b.String()
}
