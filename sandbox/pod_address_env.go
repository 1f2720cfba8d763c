package sandbox

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Values of addressEnv.
const (
	AddressFirst = "podIP"  // the pod's first address
	AddressAll   = "podIPs" // all of them
)

func (c *PodContainer) validateAddressEnv(ps *problems, at string) {
	for _, name := range slices.Sorted(maps.Keys(c.AddressEnv)) {
		at := memberPath(at+".addressEnv", name)
		if name == "" || strings.ContainsAny(name, "=\x00") {
			ps.addf(at, `%s: must be the name of a variable, without "="`, quoteShort(name))
		}
		if v := c.AddressEnv[name]; v != AddressFirst && v != AddressAll {
			ps.addf(at, "%s: must be %s or %s", quoteShort(v), AddressFirst, AddressAll)
		}
	}
}

// addressEnv are the variables with the pod's addresses, in order of their names.
func (p *Pod) addressEnv(c *PodContainer) ([]string, error) {
	if c == nil || len(c.AddressEnv) == 0 {
		return nil, nil
	}
	files, err := p.files() // has those of a pod whose network this one has joined
	if err != nil {
		return nil, err
	}
	all := make([]string, len(files.Addresses))
	for i, a := range files.Addresses {
		all[i] = a.String()
	}
	var env []string
	for _, name := range slices.Sorted(maps.Keys(c.AddressEnv)) {
		value := strings.Join(all, ",")
		if c.AddressEnv[name] == AddressFirst {
			value, _, _ = strings.Cut(value, ",")
		}
		env = append(env, name+"="+value)
	}
	return env, nil
}

// addEnv has a process see variables, in the place of those of the same names.
func addEnv(p *specs.Process, env []string) {
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		p.Env = slices.DeleteFunc(p.Env, func(have string) bool { return strings.HasPrefix(have, name+"=") })
	}
	p.Env = append(p.Env, env...)
}
