package vm

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// extractKernel writes to vmlinux the ELF file that the bzImage at path holds.
// QEMU starts that directly (PVH), 2.5 s sooner under emulation than the
// bzImage, which unpacks itself.
func extractKernel(ctx context.Context, bzImage, vmlinux string) error {
	image, err := os.ReadFile(bzImage)
	if err != nil {
		return err
	}
	payload, err := kernelPayload(image)
	if err != nil {
		return fmt.Errorf("kernel %q: %w", bzImage, err)
	}
	program, err := decompressor(payload)
	if err != nil {
		return fmt.Errorf("kernel %q: %w", bzImage, err)
	}
	// The kernel's build appends the length of the plain file to both formats.
	if err := decompress(ctx, program, payload[:len(payload)-4], vmlinux); err != nil {
		return fmt.Errorf("kernel %q: %w", bzImage, err)
	}
	f, err := elf.Open(vmlinux)
	if err != nil {
		return fmt.Errorf("kernel %q: its payload: %w", bzImage, err)
	}
	return f.Close()
}

// kernelPayload returns the compressed kernel inside a bzImage, as the setup
// header tells (Documentation/arch/x86/boot.rst, protocol 2.08).
func kernelPayload(image []byte) ([]byte, error) {
	const (
		setupSects = 0x1f1 // number of 512-byte sectors of setup code
		magic      = 0x202
		offset     = 0x248
		length     = 0x24c
	)
	if len(image) < length+4 || string(image[magic:magic+4]) != "HdrS" {
		return nil, errors.New("no setup header")
	}
	start := (int(image[setupSects])+1)*512 + int(binary.LittleEndian.Uint32(image[offset:]))
	size := int(binary.LittleEndian.Uint32(image[length:]))
	if size < 16 || start > len(image) || size > len(image)-start {
		return nil, fmt.Errorf("payload of %d bytes at %d in a file of %d", size, start, len(image))
	}
	return image[start : start+size], nil
}

// decompressor names the program that reads the format of data.
func decompressor(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return "xz", nil
	case bytes.HasPrefix(data, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "zstd", nil
	}
	return "", fmt.Errorf("compressed with neither xz nor zstd: starts with %x", data[:min(6, len(data))])
}

// decompress writes the plain form of data to the file at path.
func decompress(ctx context.Context, program string, data []byte, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	cmd := exec.CommandContext(ctx, program, "-dc")
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(data), f, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, lastLines(stderr.String(), 3))
	}
	return f.Close()
}
