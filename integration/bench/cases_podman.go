package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// podmanPodSize is the number of containers in the pod that podman makes.
const podmanPodSize = 5

// podmanCase is a whole engine for comparison: podman with crun, storage and
// all, its pod with an infra container and no network.
func podmanCase() testCase {
	const name = "podman-5"
	return testCase{name: name, about: "a pod of 5 beside podman's, up and down", slow: 4, setup: func(l *lab) (stage, error) {
		var st stage
		dir, _, err := l.podBundle(name, podmanPodSize, "")
		if err != nil {
			return st, err
		}
		for _, t := range l.podrts() {
			st.subjects = append(st.subjects, l.podrtPod(t, name, dir))
		}
		podman, err := l.podman(filepath.Join(dir, "containers/c0/rootfs"))
		if err != nil {
			// The first attempt says so, and why.
			st.subjects = append(st.subjects, subject{"podman", func() ([]lap, error) { return nil, err }})
			return st, nil
		}
		st.done = podman.close
		st.subjects = append(st.subjects, subject{"podman", func() ([]lap, error) {
			pod := l.newID()
			up := []command{podman.do("pod", "create", "--name", pod, "--network", "none", "--share-parent=false",
				"--infra-image", podmanImage, "--infra-command", forever[0]+" "+forever[1])}
			for range podmanPodSize {
				up = append(up, podman.do(append([]string{"run", "--detach", "--pod", pod, podmanImage}, forever...)...))
			}
			return upDown(
				func() (usage, error) { return l.inTurn(up...) },
				func() (usage, error) { return l.inTurn(podman.do("pod", "rm", "--force", "--time", "0", pod)) })
		}})
		return st, nil
	}}
}

const (
	podmanImage = "localhost/bench:latest"
	podmanCache = "/var/lib/containers/cache"

	// podmanContainers is of containers.conf. The profile that podman gives by
	// default takes each container 15 ms; the others' in these cases have none.
	podmanContainers = "[containers]\npids_limit=0\nseccomp_profile=\"unconfined\"\n"
)

// podman is podman with storage of its own below the lab, where it has its own by
// default: the database and the layers on the disk. What is not as it comes: --share-parent=false, as Debian's 4.3.1 puts a device program on the
// pod's cgroup that forbids crun to make /dev/null; no seccomp profile, as podrt
// has none beside it; and no pids limit, where the rung has no pids controller.
type podman struct {
	path   string
	global []string
	env    []string
	dir    string

	mounted bool // podmanCache is
}

func (p *podman) do(args ...string) command {
	return command{p.path, append(p.global[:len(p.global):len(p.global)], args...), p.env}
}

func (l *lab) podman(rootfs string) (*podman, error) {
	path, err := exec.LookPath("podman")
	if err != nil {
		return nil, errors.New("podman is missing: apt-get install podman")
	}
	crun := l.tool("crun")
	if crun == nil {
		return nil, errors.New("podman needs crun: apt-get install crun")
	}
	p := &podman{path: path, dir: filepath.Join(l.dir, "podman")}
	runtime := crun.Path
	if crun.env != nil {
		runtime = filepath.Join(l.root, "bin/bench/crun-memlock")
	}
	p.global = []string{
		"--root", filepath.Join(l.disk, "podman"), "--runroot", filepath.Join(p.dir, "run"), "--tmpdir", filepath.Join(p.dir, "tmp"),
		"--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", runtime,
	}
	conf := filepath.Join(p.dir, "containers.conf")
	p.env = []string{"CONTAINERS_CONF=" + conf}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(conf, []byte(podmanContainers), 0o600); err != nil {
		return nil, err
	}
	if rung.Current() == rung.Native {
		// Podman's cache of blobs has no flag; on the rung it need not be the host's.
		if err := os.MkdirAll(podmanCache, 0o755); err != nil {
			return nil, err
		}
		if err := unix.Mount("tmpfs", podmanCache, "tmpfs", 0, "mode=700"); err != nil {
			return nil, fmt.Errorf("mount tmpfs on %q: %w", podmanCache, err)
		}
		p.mounted = true
	}
	tar := filepath.Join(p.dir, "image.tar")
	if out, err := exec.Command("tar", "-C", rootfs, "-cf", tar, ".").CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("tar: %w\n%s", err, out), p.close())
	}
	if _, err := l.inTurn(p.do("import", tar, podmanImage)); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// close takes podman's storage down; the overlay below its root is a mount.
func (p *podman) close() error {
	out, err := exec.Command(p.path, append(p.global[:len(p.global):len(p.global)], "system", "reset", "--force")...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("podman system reset: %w\n%s", err, out)
	}
	if p.mounted {
		err = errors.Join(err, unix.Unmount(podmanCache, unix.MNT_DETACH))
	}
	return err
}
