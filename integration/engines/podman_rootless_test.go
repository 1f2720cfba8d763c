package engines

import (
	"os"
	"testing"

	"github.com/podrt/podrt/integration/bundle"
	"github.com/podrt/podrt/integration/rung"
)

// rootless is podman of an ordinary user, who has subordinate ids and no cgroup.
type rootless struct{ *lab }

func TestPodmanRootless(t *testing.T) {
	rung.Privileged(t)
	compare(t, newRootless, operation[*rootless]{name: "rootless", do: podmanOfUser})
}

const rootlessUser = 54242

func newRootless(x *try, l *lab) *rootless {
	x.must(bundle.Root(l.path("rootfs")))
	program, err := os.ReadFile(l.runtime.path)
	x.must(err)
	// Where the user can reach it.
	x.must(os.WriteFile(l.path(l.runtime.name), program, 0o755))
	for name, text := range map[string]string{
		"etc/passwd":       "root:x:0:0::/root:/bin/sh\npodrt-test:x:54242:54242::/:/bin/sh\n",
		"etc/group":        "root:x:0:\npodrt-test:x:54242:\n",
		"etc/subuid":       "podrt-test:200000:65536\n",
		"etc/subgid":       "podrt-test:200000:65536\n",
		"etc/storage.conf": "[storage]\ndriver = \"vfs\"\nrunroot = \"" + l.path("run/storage") + "\"\ngraphroot = \"" + l.path("home/storage") + "\"\n",
	} {
		l.write(x, name, text)
	}
	for _, dir := range []string{"home", "run"} {
		x.must(os.Mkdir(l.path(dir), 0o700))
	}
	for _, dir := range []string{"home", "run", "rootfs"} {
		x.must(bundle.Chown(l.path(dir), rootlessUser, rootlessUser))
	}
	return &rootless{l}
}

// podmanOfUser runs the user's podman in namespaces that end all that it leaves
// in the background, with the lab's /etc.
func podmanOfUser(x *try, r *rootless) {
	const script = `
cd $LAB
mount -t tmpfs none /mnt
cp -a /etc/containers /etc/ssl /etc/nsswitch.conf /mnt 2>/dev/null || :
cp $LAB/etc/* /mnt
mount --move /mnt /etc
exec setpriv --reuid 54242 --regid 54242 --clear-groups -- sh -c '
umask 022
podman() { command podman --log-level=error --runtime $LAB/$RUNTIME --cgroup-manager cgroupfs --events-backend file "$@" </dev/null; }
run() { podman run --network none "$@"; echo "exit $?"; }
run --rm --rootfs $LAB/rootfs sh -c "id -u; cat /proc/self/uid_map; exit 5"
run --rm --user 5:6 --rootfs $LAB/rootfs sh -c "id -u; id -G"
run --rm --userns keep-id --rootfs $LAB/rootfs id -u
podman run --detach --name x --network none --rootfs $LAB/rootfs sleep 1000 >/dev/null; echo "exit $?"
podman exec x id -u; echo "exit $?"
podman exec --user 7 x id -u; echo "exit $?"
podman ps --format "{{.Names}}"
podman stop --time 0 x
podman rm x >/dev/null; echo "exit $?"
podman ps --all --quiet
'`
	const want = `0
         0      54242          1
         1     200000      65536
exit 5
5
6
exit 0
54242
exit 0
exit 0
0
exit 0
7
exit 0
x
x
exit 0`
	out := r.try(x, command{
		args: []string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", script},
		env: []string{
			"LAB=" + r.dir, "RUNTIME=" + r.runtime.name, "HOME=" + r.path("home"), "XDG_RUNTIME_DIR=" + r.path("run"),
			"CONTAINERS_STORAGE_CONF=/etc/storage.conf", "DBUS_SESSION_BUS_ADDRESS=",
		},
	})
	if out.code != 0 || out.stderr != "" || out.out != want {
		x.Errorf("%s\nwant: %s", out, want)
	}
}
