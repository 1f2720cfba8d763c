package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/podrt/podrt/sandbox"
)

const module = "github.com/podrt/podrt"

// buildTags are those of the shipped binary.
const buildTags = "seccomp netgo osusergo"

// goPackage is what these tests use of `go list -json`.
type goPackage struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path, Version string }
}

func goList(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Module", "-tags", buildTags}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("%v: %v\n%s", cmd, err, exit.Stderr)
		}
		t.Fatalf("%v: %v", cmd, err)
	}
	var pkgs []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// allowedModules are what podrt links, and why. Each one is read in and
// initialised at the start of every container.
var allowedModules = map[string]string{
	module:                                         "this one",
	"github.com/opencontainers/runc":               "libcontainer: how containers are made",
	"github.com/opencontainers/cgroups":            "libcontainer's cgroup managers; limits of the pod's cgroup",
	"github.com/opencontainers/selinux":            "libcontainer: labels",
	"github.com/opencontainers/runtime-spec":       "the types of config.json, state and features",
	"github.com/vishvananda/netlink":               "interfaces and addresses; libcontainer's loopback and netDevices",
	"github.com/tidwall/gjson":                     "a few values of state.json, undecoded",
	"github.com/tidwall/match":                     "of gjson",
	"github.com/tidwall/pretty":                    "of gjson",
	"github.com/vishvananda/netns":                 "of netlink: sockets in another network namespace",
	"github.com/google/nftables":                   "rules of pods' networks",
	"github.com/mdlayher/netlink":                  "of nftables",
	"github.com/mdlayher/socket":                   "of nftables' netlink",
	"github.com/cyphar/filepath-securejoin":        "paths below a root that symbolic links do not leave; libcontainer's mounts",
	"github.com/moby/sys/capability":               "libcontainer: capabilities",
	"github.com/moby/sys/mountinfo":                "libcontainer and cgroups: mount table",
	"github.com/moby/sys/user":                     "libcontainer: id maps",
	"github.com/moby/sys/userns":                   "libcontainer: is this the initial user namespace",
	"github.com/mrunalp/fileutils":                 "libcontainer: tmpcopyup",
	"github.com/containerd/console":                "terminals",
	"github.com/sirupsen/logrus":                   "libcontainer's logger and the log format that engines parse",
	"github.com/seccomp/libseccomp-golang":         "libcontainer: seccomp filters",
	"github.com/cilium/ebpf":                       "cgroups: assembler of the device filter",
	"github.com/coreos/go-systemd/v22":             "cgroups: the systemd driver",
	"github.com/godbus/dbus/v5":                    "of go-systemd",
	"github.com/checkpoint-restore/go-criu/v8":     "libcontainer: checkpoint and restore",
	"github.com/aperturerobotics/protobuf-go-lite": "of go-criu",
	"golang.org/x/sys":                             "system calls",
	"golang.org/x/sync":                            "of nftables' netlink: errgroup",
	"golang.org/x/net":                             "libcontainer: bpf instructions of seccomp filters",
}

// bannedPackages cost much at each start, or more memory than the smallest
// containers have; none is wanted even where a module above would allow it.
var bannedPackages = []string{
	"net/http", "crypto/tls", "crypto/x509", "text/template", "html/template", "regexp",
	"encoding/gob", "google.golang.org/grpc", "google.golang.org/protobuf", "github.com/urfave/cli",
	"github.com/spf13/cobra", "testing", "k8s.io/",
	"github.com/containernetworking/", "go.opentelemetry.io/", // podrt-cni's
}

func TestModules(t *testing.T) {
	used := map[string]bool{}
	for _, p := range goList(t, "-deps", "./cmd/podrt") {
		for _, banned := range bannedPackages {
			if p.ImportPath == banned || strings.HasPrefix(p.ImportPath, strings.TrimSuffix(banned, "/")+"/") {
				t.Errorf("podrt links %s", p.ImportPath)
			}
		}
		if p.Standard || p.Module == nil || used[p.Module.Path] {
			continue
		}
		used[p.Module.Path] = true
		if allowedModules[p.Module.Path] == "" {
			t.Errorf("podrt links module %s; not allowed: go mod why -m says where it comes from", p.Module.Path)
		}
	}
	if !used["github.com/opencontainers/runc"] {
		t.Error("go list shows no libcontainer: the test looks at the wrong program")
	}
}

// TestRuncVersion: podrt names the version of runc that it links.
func TestRuncVersion(t *testing.T) {
	for _, p := range goList(t, "github.com/opencontainers/runc/libcontainer") {
		if want := "v" + sandbox.RuncVersion; p.Module.Version != want {
			t.Errorf("go.mod requires runc %s; sandbox.RuncVersion wants %s", p.Module.Version, want)
		}
	}
}

// arrows are the imports between the rooms of this module: who may import whom.
var arrows = map[string][]string{
	"cmd/podrt":               {"sandbox", "nsenter"}, // nsenter: its constructor
	"cmd/podrt-cni":           {"netsetup"},
	"cmd/podrt-kube":          {"sandbox", "rootfs/image", "cmd/podrt-kube/manifest"},
	"cmd/podrt-kube/manifest": {"sandbox"},
	"cmd/podrt-probe":         {"netprobe"},
	"sandbox":                 {"nsenter", "cgroups", "netsetup", "rootfs", "netprobe"},
	"nsenter":                 {},
	"cgroups":                 {},
	"netsetup":                {},
	"netprobe":                {},
	"rootfs":                  {},
	"rootfs/image":            {"rootfs"}, // heavy: registries and archives
}

func TestArrows(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range goList(t, "./...") {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		if strings.HasPrefix(room, "integration") {
			continue // may look at everything
		}
		seen[room] = true
		allowed, known := arrows[room]
		if !known {
			t.Errorf("package %s has no place in the table of arrows", room)
		}
		for _, imported := range p.Imports {
			if to, own := strings.CutPrefix(imported, module+"/"); own && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s; allowed are %q", room, to, allowed)
			}
			if strings.HasPrefix(imported, "github.com/opencontainers/runc/") && room != "sandbox" && room != "cmd/podrt" {
				t.Errorf("%s imports %s; only sandbox may", room, imported)
			}
		}
	}
	for room := range arrows {
		if !seen[room] {
			t.Errorf("package %s is in the table of arrows, and not in the module", room)
		}
	}
}

// In cmd/podrt, only init.go reaches around sandbox: for the two constructors
// and the second half of a container's init.
func TestInitImports(t *testing.T) {
	for _, name := range goFiles(t) {
		for _, imported := range fileImports(t, name) {
			lib := strings.HasPrefix(imported, "github.com/opencontainers/runc/") || imported == module+"/nsenter"
			if lib && name != "init.go" {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}
