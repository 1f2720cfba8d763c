package sandbox

import (
	"fmt"

	"github.com/opencontainers/runc/libcontainer/capabilities"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/seccomp"
	"github.com/opencontainers/runc/libcontainer/specconv"
	runcfeatures "github.com/opencontainers/runc/types/features"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"
)

// RuncVersion is the version of runc that libcontainer comes from, and whose
// behaviour containers have.
const RuncVersion = "1.5.3"

// Features describes what containers can be configured with: what was compiled
// in, not what the running kernel has.
func Features(version, commit string) *features.Features {
	yes, no := true, false
	f := &features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		Annotations: map[string]string{
			"dev.podrt.version":                          version,
			"dev.podrt.commit":                           commit,
			runcfeatures.AnnotationRuncVersion:           RuncVersion,
			runcfeatures.AnnotationRuncCommit:            "v" + RuncVersion, // the source's, as podrt's is above
			runcfeatures.AnnotationRuncCheckpointEnabled: "true",
		},
		Hooks:        configs.KnownHookNames(),
		MountOptions: specconv.KnownMountOptions(),
		Linux: &features.Linux{
			Namespaces:   specconv.KnownNamespaces(),
			Capabilities: capabilities.KnownCapabilities(),
			Cgroup: &features.Cgroup{
				V1: &no, V2: &yes, Systemd: &yes, SystemdUser: &yes, Rdma: &yes,
			},
			Apparmor: &features.Apparmor{Enabled: &yes},
			Selinux:  &features.Selinux{Enabled: &yes},
			IntelRdt: &features.IntelRdt{Enabled: &yes, Schemata: &yes, Monitoring: &yes},
			MemoryPolicy: &features.MemoryPolicy{
				Modes: specconv.KnownMemoryPolicyModes(),
				Flags: specconv.KnownMemoryPolicyFlags(),
			},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
			NetDevices:      &features.NetDevices{Enabled: &yes},
		},
		PotentiallyUnsafeConfigAnnotations: []string{
			"bundle", // libcontainer's own label, which an annotation must not replace
			"org.systemd.property.",
			"org.criu.config",
			// What makes a container a part of a pod that it names.
			annotationPrefix,
			"io.kubernetes.cri.",
			"io.kubernetes.cri-o.",
			"io.kubernetes.docker.type",
			"io.kubernetes.sandbox.id",
			AnnotationKeepGroups,
		},
	}
	if seccomp.Enabled {
		f.Linux.Seccomp = &features.Seccomp{
			Enabled:        &yes,
			Actions:        seccomp.KnownActions(),
			Operators:      seccomp.KnownOperators(),
			Archs:          seccomp.KnownArchs(),
			KnownFlags:     seccomp.KnownFlags(),
			SupportedFlags: seccomp.SupportedFlags(),
		}
		f.Annotations[runcfeatures.AnnotationLibseccompVersion] = LibseccompVersion()
	}
	return f
}

// LibseccompVersion is the version of libseccomp that is linked, or empty.
func LibseccompVersion() string {
	major, minor, micro := seccomp.Version()
	if major+minor+micro == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", major, minor, micro)
}
