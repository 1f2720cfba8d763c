package engines

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// containerd is a containerd with state of its own, and the configuration of
// README.md with the lab's runtime in it.
type containerd struct {
	*lab
	*daemon
	socket string
}

// What a lab needs beside: a part before the tables, and tables.
const (
	containerdTop = `root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.internal.v1.opt"]
`
	containerdTables = `
[grpc]
  address = %[1]q
[ttrpc]
  address = %[2]q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[3]q
  netns_mounts_under_state_dir = true
  # The native rung has no cpu controller, and no CAP_SYS_RESOURCE.
  disable_cgroup = %[4]t
  restrict_oom_score_adj = %[4]t
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %[5]q
`
)

// containerdImage is the image that each containerd has. Its command is that of
// the CRI's pause container, which calls for a PATH too.
const containerdImage = "podrt.test/busybox:1"

func newContainerd(x *try, l *lab) *containerd {
	c := &containerd{lab: l, socket: l.path("c.sock")}
	removeParent(x, c.namespace())
	isNative := rung.Current() == rung.Native
	config := fmt.Sprintf(containerdTop, l.path("root"), l.path("state")) +
		l.setting(x, "containerd.toml") + l.runtimeOptions +
		fmt.Sprintf(containerdTables, c.socket, l.path("t.sock"), containerdImage, isNative, l.path("cni"))
	l.env = append(l.env, "CONTAINERD_ADDRESS="+c.socket, "CONTAINERD_NAMESPACE="+c.namespace())
	c.daemon = l.startDaemon(x, c.ready(), "containerd", "--log-level", "warn", "--config", l.write(x, "config.toml", config))
	return c
}

// ready is a command that succeeds as soon as containerd does its work.
func (c *containerd) ready() []string { return []string{"ctr", "version"} }

// namespace is that of ctr's containers, and the name of their cgroups' parent.
func (c *containerd) namespace() string { return "ctr-" + c.runtime.name }

// load imports the image into a namespace.
func (c *containerd) load(x *try, namespace string) {
	archive, err := imageArchive(containerdImage, "sleep", "100000")
	x.must(err)
	args := []string{"ctr", "--namespace", namespace, "image", "import", "-"}
	if r := c.lab.try(x, command{args: args, stdin: archive}); r.code != 0 {
		x.Fatalf("%s", r)
	}
}

// imageArchive is an image of [imageTar] as `docker save` writes it.
func imageArchive(name string, command ...string) ([]byte, error) {
	layer, err := imageTar()
	if err != nil {
		return nil, err
	}
	config, err1 := json.Marshal(object{
		"architecture": "amd64", "os": "linux",
		"config": object{"Env": []string{imagePath}, "Cmd": command},
		"rootfs": object{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	manifest, err2 := json.Marshal([]object{{"Config": "config.json", "RepoTags": []string{name}, "Layers": []string{"layer.tar"}}})
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		data []byte
	}{{"config.json", config}, {"layer.tar", layer}, {"manifest.json", manifest}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.data))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// removeParent removes at the end the cgroup that an engine makes for its
// containers, and keeps.
func removeParent(x *try, name string) {
	x.Cleanup(func(t *testing.T) {
		if err := unix.Rmdir("/sys/fs/cgroup/" + name); err != nil && !errors.Is(err, unix.ENOENT) {
			t.Errorf("rmdir the cgroup %s: %v", name, err)
		}
	})
}

// removeLink removes at the end the bridge that CNI's plugin makes, and keeps.
func removeLink(x *try, name string) {
	x.Cleanup(func(t *testing.T) {
		link, err := netlink.LinkByName(name)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return
		}
		if err == nil {
			err = netlink.LinkDel(link)
		}
		if err != nil {
			t.Errorf("remove the bridge %s: %v", name, err)
		}
	})
}
