package main

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/podrt/podrt/sandbox"
)

// podFlags are the flags of pod create, with podman's names where it has them.
// They are checked as pod.json is: by sandbox, before anything is made.
type podFlags struct {
	s        sandbox.PodSpec
	share    string
	shareSet bool
	uid      string
	grace    int
	graceSet bool
	uidmap   []sandbox.IDMapping
	gidmap   []sandbox.IDMapping
	limitFlags
}

func (o *podFlags) register(f *flags) {
	s := &o.s
	f.String(&o.uid, "uid", "UID of the pod instead of a generated one")
	f.String(&s.Hostname, "hostname", "host name in the pod instead of its name")
	f.String(&s.Domainname, "domainname", "NIS domain name in the pod")
	f.Func(func(v string) error { o.share, o.shareSet = v, true; return nil }, "share", "comma-separated `KINDS` of namespaces that the containers share: net, ipc, uts, pid, cgroup, time, user; or none (default \"net,ipc,uts\")")
	f.Strings(&s.Host, "host", "namespace of the host to use instead: ipc, pid or uts; can be repeated")
	o.networkFlags(f)
	f.Func(keyValue(&s.Sysctls), "sysctl", "kernel parameter of the pod's namespaces, as `NAME=VALUE`; can be repeated")
	f.Func(keyValue(&s.Metadata.Labels), "label, l", "label of the pod, as `KEY=VALUE`; can be repeated")
	f.Func(keyValue(&s.Metadata.Annotations), "annotation", "annotation of the pod, as `KEY=VALUE`; can be repeated")
	f.String(&s.CgroupParent, "cgroup-parent", "cgroup below which the pod's is made; it is never removed (default \"/podrt\")")
	f.Func(o.volume, "volume, v", "volume for every container of the pod, as `SOURCE:DIR[:OPTIONS]`. SOURCE is an absolute path of the host or the name of a volume that lives as long as the pod; OPTIONS are ro, rw, memory, size=SIZE; can be repeated")
	f.Func(bytesFlag(&s.ShmSize), "shm-size", "`SIZE` of /dev/shm, such as 64m, the default")
	f.Strings(&s.DNS.Servers, "dns", "address of a name server; can be repeated")
	f.Strings(&s.DNS.Searches, "dns-search", "domain to look names up in; can be repeated")
	f.Strings(&s.DNS.Options, "dns-option", "resolver option; can be repeated")
	f.Func(o.addHost, "add-host", "line to add to /etc/hosts, as `NAME:IP`; can be repeated")
	f.Func(idMap(&o.uidmap), "uidmap", "range of user ids of a user namespace of the pod, as `CONTAINER:HOST:SIZE`; can be repeated")
	f.Func(idMap(&o.gidmap), "gidmap", "range of group ids, as `CONTAINER:HOST:SIZE`; can be repeated")
	f.Func(func(v string) error { o.graceSet = true; return parseSeconds(v, &o.grace) }, "stop-timeout", "grace period of the pod in `SECONDS` (default 10)")
	o.limitFlags.register(f)
}

// spec returns what the flags say.
func (o *podFlags) spec(name string) *sandbox.PodSpec {
	s := &o.s
	s.PodVersion = sandbox.PodVersion
	s.Metadata.Name, s.Metadata.UID = name, o.uid
	if o.shareSet {
		s.Share = []string{}
		if o.share != "" && o.share != "none" {
			s.Share = strings.Split(o.share, ",")
		}
	}
	if len(o.uidmap)+len(o.gidmap) > 0 {
		s.UserNamespace = &sandbox.UserNamespace{UIDMappings: o.uidmap, GIDMappings: o.gidmap}
	}
	if o.graceSet {
		s.TerminationGracePeriodSeconds = new(int64(o.grace))
	}
	s.Resources = o.resources()
	return s
}

// volume reads SOURCE:DIR[:OPTIONS].
func (o *podFlags) volume(v string) error {
	parts := strings.SplitN(v, ":", 3)
	if len(parts) < 2 {
		return fmt.Errorf("want SOURCE:DIR[:OPTIONS]")
	}
	src, m := parts[0], sandbox.VolumeMount{MountPath: parts[1]}
	vol := sandbox.PodVolume{Name: src}
	if path.IsAbs(src) {
		vol.Name = "volume-" + strconv.Itoa(len(o.s.Volumes))
		vol.HostPath = &sandbox.PodHostPath{Path: src}
	} else {
		vol.EmptyDir = &sandbox.PodEmptyDir{}
	}
	m.Name = vol.Name
	if len(parts) == 3 {
		for opt := range strings.SplitSeq(parts[2], ",") {
			size, isSize := strings.CutPrefix(opt, "size=")
			switch {
			case opt == "ro":
				m.ReadOnly = true
			case opt == "rw":
			case opt == "memory" && vol.EmptyDir != nil:
				vol.EmptyDir.Medium = "Memory"
			case isSize && vol.EmptyDir != nil:
				if err := bytesFlag(&vol.EmptyDir.SizeLimit)(size); err != nil {
					return fmt.Errorf("option %q: %w", opt, err)
				}
			default:
				return fmt.Errorf("unknown option %q", opt)
			}
		}
	}
	o.s.Volumes = append(o.s.Volumes, vol)
	o.s.VolumeMounts = append(o.s.VolumeMounts, m)
	return nil
}

func (o *podFlags) addHost(v string) error {
	name, ip, ok := strings.Cut(v, ":")
	if !ok {
		return fmt.Errorf("want NAME:IP")
	}
	o.s.HostAliases = append(o.s.HostAliases, sandbox.HostAlias{IP: ip, Hostnames: []string{name}})
	return nil
}
