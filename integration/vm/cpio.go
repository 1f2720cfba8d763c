package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// cpio writes an initramfs: the "newc" format of
// Documentation/driver-api/early-userspace/buffer-format.rst.
type cpio struct {
	w   io.Writer
	ino int
	err error
}

// dir adds a directory, file a regular file; name has no leading slash.
func (c *cpio) dir(name string) { c.entry(name, 0o40755, nil) }

func (c *cpio) file(name string, mode os.FileMode, b []byte) {
	c.entry(name, 0o100000|uint32(mode.Perm()), b)
}

func (c *cpio) entry(name string, mode uint32, data []byte) {
	if strings.HasPrefix(name, "/") {
		c.err = errors.Join(c.err, fmt.Errorf("cpio name %q: absolute", name))
	}
	c.ino++
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	c.write([]byte(head))
	c.write(data)
}

// write pads to four bytes, header and data alike.
func (c *cpio) write(b []byte) {
	if c.err != nil {
		return
	}
	if _, c.err = c.w.Write(b); c.err != nil {
		return
	}
	if pad := -len(b) & 3; pad > 0 {
		_, c.err = c.w.Write(make([]byte, pad))
	}
}

// close ends the archive.
func (c *cpio) close() error {
	c.entry("TRAILER!!!", 0, nil)
	return c.err
}
