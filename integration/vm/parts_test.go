package vm

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseSimulation(t *testing.T) {
	const out = `NOTE: This is only a simulation!
Inst libfdt1 (1.6.1-4+b1 Debian:12.15/oldstable [amd64])
Inst seabios [1.16.2-1] (1.16.3-2~bpo12+1 Debian Backports:oldstable-backports [all])
Inst qemu-system-x86 (1:10.0.2+ds-2+deb13u1~bpo12+1 Debian Backports:oldstable-backports [amd64]) []
Conf libfdt1 (1.6.1-4+b1 Debian:12.15/oldstable [amd64])
`
	got := parseSimulation(out)
	want := []string{"libfdt1=1.6.1-4+b1", "seabios=1.16.3-2~bpo12+1", "qemu-system-x86=1:10.0.2+ds-2+deb13u1~bpo12+1"}
	if !slices.Equal(got, want) {
		t.Errorf("parseSimulation = %q; want %q", got, want)
	}
}

func TestModuleOrder(t *testing.T) {
	const dep = `kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet.ko.xz:
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz
kernel/fs/netfs/netfs.ko.xz:
kernel/drivers/char/virtio-console.ko:
`
	const builtin = "kernel/drivers/virtio/virtio_pci.ko\n"
	got, err := moduleOrder(dep, builtin, []string{"virtio_pci", "virtio_console", "9pnet_virtio", "9p"})
	want := []string{
		"kernel/drivers/char/virtio-console.ko",
		"kernel/net/9p/9pnet.ko.xz",
		"kernel/net/9p/9pnet_virtio.ko.xz",
		"kernel/fs/netfs/netfs.ko.xz",
		"kernel/fs/9p/9p.ko.xz",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("moduleOrder = %q, %v; want %q", got, err, want)
	}
	if _, err := moduleOrder(dep, builtin, []string{"overlay"}); err == nil || !strings.Contains(err.Error(), `"overlay"`) {
		t.Errorf("moduleOrder of a missing module: %v; want its name", err)
	}
}

// bzImage makes a file with a setup header of one setup sector.
func bzImage(payload []byte, offset, length int) []byte {
	image := make([]byte, 1024, 1024+16+len(payload))
	image[0x1f1] = 1
	copy(image[0x202:], "HdrS")
	binary.LittleEndian.PutUint32(image[0x248:], uint32(offset))
	binary.LittleEndian.PutUint32(image[0x24c:], uint32(length))
	image = append(image, make([]byte, 16)...)
	return append(image, payload...)
}

func TestKernelPayload(t *testing.T) {
	payload := []byte("0123456789abcdefghij")
	got, err := kernelPayload(bzImage(payload, 16, len(payload)))
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("kernelPayload = %q, %v; want %q", got, err, payload)
	}
	for name, image := range map[string][]byte{
		"empty":            nil,
		"no magic":         make([]byte, 2048),
		"length past end":  bzImage(payload, 16, len(payload)+1),
		"offset past end":  bzImage(payload, 1<<20, len(payload)),
		"payload too tiny": bzImage(payload, 16, 3),
	} {
		if got, err := kernelPayload(image); err == nil {
			t.Errorf("%s: kernelPayload = %d bytes; want an error", name, len(got))
		}
	}
}

func TestExtractKernel(t *testing.T) {
	// Any ELF file can stand for the kernel.
	elf, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ program, flags string }{{"xz", "-0c"}, {"zstd", "-1c"}} {
		t.Run(c.program, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skip(err)
			}
			cmd := exec.Command(c.program, c.flags)
			cmd.Stdin = bytes.NewReader(elf)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			payload := binary.LittleEndian.AppendUint32(packed, uint32(len(elf)))
			dir := t.TempDir()
			in, out := filepath.Join(dir, "bzImage"), filepath.Join(dir, "vmlinux")
			if err := os.WriteFile(in, bzImage(payload, 16, len(payload)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := extractKernel(t.Context(), in, out); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, elf) {
				t.Errorf("extractKernel: %d bytes, %v; want the %d packed", len(got), err, len(elf))
			}
		})
	}
}

// TestCPIO has busybox read what cpio writes.
func TestCPIO(t *testing.T) {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip(err)
	}
	var b bytes.Buffer
	archive := cpio{w: &b}
	archive.dir("d")
	for _, text := range []string{"", "x", "abcd", "abcde"} {
		archive.file("d/f"+text, 0o755, []byte(text))
	}
	if err := archive.close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command(busybox, "cpio", "-idm")
	cmd.Dir, cmd.Stdin = dir, &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio -idm: %v: %s", err, out)
	}
	for _, text := range []string{"", "x", "abcd", "abcde"} {
		path := filepath.Join(dir, "d/f"+text)
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%s holds %q, %v; want %q", path, got, err, text)
		}
		if info, err := os.Stat(path); err == nil && info.Mode() != 0o755 {
			t.Errorf("%s: mode %v; want 0755", path, info.Mode())
		}
	}
	bad := cpio{w: &bytes.Buffer{}}
	bad.dir("/abs")
	if err := bad.close(); err == nil {
		t.Error("cpio of an absolute name: no error")
	}
}

func TestFetchRefusesUnknownSet(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := Fetch(t.Context(), "sid", func(string) {}); err == nil || !strings.Contains(err.Error(), `"sid"`) {
		t.Errorf("Fetch of an unknown set: %v; want its name", err)
	}
}
