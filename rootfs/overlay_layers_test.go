package rootfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/integration/rung"
)

// makeLayers makes n layers in dir with names as long as those of an image store,
// topmost first. Layer 0, the lowest, has files that the others change.
func makeLayers(t *testing.T, dir string, n int) []string {
	t.Helper()
	layers := make([]string, n)
	for i := range n {
		layer := filepath.Join(dir, fmt.Sprintf("%064x", i))
		layers[n-1-i] = layer
		mkdirs(t, layer, "etc")
		write(t, layer+"/top", fmt.Sprint(i))
		write(t, fmt.Sprintf("%s/etc/%d", layer, i), "")
	}
	return layers
}

// TestOverlayLayers: one layer, two, as many as Docker makes, and as many as there
// may be, whose paths do not fit into a page of options.
func TestOverlayLayers(t *testing.T) {
	rung.Privileged(t)
	for _, n := range []int{1, 2, 127, MaxLayers} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			top := scratch(t, "")
			layers := makeLayers(t, top, n)
			if err := os.Chown(layers[0], 7, 8); err != nil {
				t.Fatal(err)
			}
			dir := top + "/dir"
			merged, err := OverlayLayers(layers, nil, dir)
			if err != nil {
				t.Fatal(err)
			}
			wantFile(t, merged+"/top", fmt.Sprint(n-1))
			names, err := os.ReadDir(merged + "/etc")
			if err != nil || len(names) != n {
				t.Errorf("/etc has %d files, %v; want one of each of %d layers", len(names), err, n)
			}
			var st unix.Stat_t
			if err := unix.Stat(merged, &st); err != nil || st.Uid != 7 || st.Gid != 8 {
				t.Errorf("root has owner %d:%d, %v; want the topmost layer's 7:8", st.Uid, st.Gid, err)
			}
			write(t, merged+"/top", "new")
			wantFile(t, layers[0]+"/top", fmt.Sprint(n-1))
			if err := RemoveOverlay(dir); err != nil {
				t.Fatal(err)
			}
			wantGone(t, dir)
		})
	}
}

func TestOverlayLayersRefuses(t *testing.T) {
	rung.Privileged(t)
	top := scratch(t, "")
	layers := makeLayers(t, top, MaxLayers+1)
	_, err := OverlayLayers(layers, nil, top+"/dir")
	wantError(t, "too many layers", err, "201 layers", "1 to 200")
	_, err = OverlayLayers(nil, nil, top+"/dir")
	wantError(t, "no layer", err, "0 layers")
	_, err = OverlayLayers([]string{layers[0], top + "/none"}, nil, top+"/dir")
	wantError(t, "missing layer", err, "no such file or directory")
	wantGone(t, top+"/dir")
	if left := mountsBelow(t, top); len(left) > 0 {
		t.Errorf("%q are left mounted", left)
	}
}

// userNamespace returns a user namespace that maps ids from 0 on to first.
func userNamespace(t *testing.T, first int) *os.File {
	t.Helper()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: first, Size: 65536}}
	cmd := exec.Command("/bin/sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	return ns
}

// TestOverlayLayersMapped: ids of layers are a user namespace's, in the layers as
// in what is copied up, and nothing is left of the mounts on the way.
func TestOverlayLayersMapped(t *testing.T) {
	rung.Privileged(t)
	rung.NeedKernel(t, "6.3", "idmapped mounts of tmpfs, on which this test is")
	const first = 100000
	users := userNamespace(t, first)
	self, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 127} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			top := scratch(t, "")
			layers := makeLayers(t, top, n)
			if err := os.Chown(layers[n-1]+"/etc/0", 5, 6); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(layers[n-1]+"/etc/0", 0o4755); err != nil {
				t.Fatal(err)
			}
			dir := top + "/a:b,c" // options escape it
			before := mountsBelow(t, "")
			merged, err := OverlayLayers(layers, users, dir)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := len(mountsBelow(t, "")), len(before)+1; got != want {
				t.Errorf("%d mounts; want %d", got, want)
			}
			for _, path := range []string{"", "/etc", "/etc/0", "/top"} {
				want := uint32(first)
				if path == "/etc/0" {
					want += 5
				}
				var st unix.Stat_t
				if err := unix.Stat(merged+path, &st); err != nil || st.Uid != want {
					t.Errorf("owner of %q is %d, %v; want %d", path, st.Uid, err, want)
				}
			}
			// Copied up it keeps its owner, and lower layers keep theirs.
			if err := os.WriteFile(merged+"/etc/0", []byte("new"), 0); err != nil {
				t.Fatal(err)
			}
			var st unix.Stat_t
			if err := unix.Stat(dir+"/upper/etc/0", &st); err != nil || st.Uid != first+5 || st.Gid != first+6 {
				t.Errorf("copied up it is owned by %d:%d, %v; want %d:%d", st.Uid, st.Gid, err, first+5, first+6)
			}
			if err := unix.Stat(layers[n-1]+"/etc/0", &st); err != nil || st.Uid != 5 || st.Size != 0 {
				t.Errorf("the layer's is owned by %d and has %d bytes, %v; want 5, 0", st.Uid, st.Size, err)
			}
			if err := RemoveOverlay(dir); err != nil {
				t.Fatal(err)
			}
			wantGone(t, dir)
		})
	}
	// The process is where it was, and the threads that were not have ended.
	for end := time.Now().Add(10 * time.Second); ; {
		elsewhere := threadsNotIn(t, self)
		if elsewhere == "" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the process was in mount namespace %s; now: %s", self, elsewhere)
		}
	}
}

// threadsNotIn lists the threads of this process that are not in a mount namespace.
func threadsNotIn(t *testing.T, ns string) string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/mnt")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("threads: %q, %v", tasks, err)
	}
	var found []string
	for _, task := range tasks {
		if got, err := os.Readlink(task); err == nil && got != ns {
			found = append(found, task+": "+got)
		}
	}
	return strings.Join(found, ", ")
}

func TestReadImage(t *testing.T) {
	dir := t.TempDir()
	mkdirs(t, dir, "manifests", "layers")
	hex := func(c string) string { return strings.Repeat(c, 64) }
	for _, tt := range []struct{ name, digest, record, want string }{
		{"no digest", "busybox", "", `image "busybox": is no digest`},
		{"upper case", "sha256:" + hex("A"), "", "is no digest"},
		{"path", "sha256:" + strings.Repeat("../", 22)[:64], "", "is no digest"},
		{"not there", "sha256:" + hex("1"), "", "is not in the store"},
		{"no JSON", "sha256:" + hex("2"), "{", "unexpected end of JSON input"},
		{"no layers", "sha256:" + hex("3"), `{"layers":[]}`, "has 0 layers: must be 1 to 200"},
		{"layer that is a path", "sha256:" + hex("4"), `{"layers":["../../etc"]}`, `layer "../../etc" is no SHA-256`},
		{"missing layer", "sha256:" + hex("5"), `{"layers":["` + hex("0") + `"]}`, "is damaged: layer"},
		{"layer that is a file", "sha256:" + hex("6"), `{"layers":["` + hex("f") + `"]}`, "not a directory"},
	} {
		if tt.record != "" {
			write(t, dir+"/manifests/"+strings.TrimPrefix(tt.digest, "sha256:")+".json", tt.record)
		}
		if tt.name == "layer that is a file" {
			write(t, dir+"/layers/"+hex("f"), "")
		}
		_, err := ImageLayers(dir, tt.digest)
		wantError(t, tt.name, err, tt.want, tt.digest)
	}
	write(t, dir+"/manifests/"+hex("7")+".json", `{"layers":["`+hex("a")+`","`+hex("b")+`"]}`)
	mkdirs(t, dir, "layers/"+hex("a"), "layers/"+hex("b"))
	got, err := ImageLayers(dir, "sha256:"+hex("7"))
	if want := []string{dir + "/layers/" + hex("b"), dir + "/layers/" + hex("a")}; err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("ImageLayers = %q, %v; want %q", got, err, want)
	}
}
