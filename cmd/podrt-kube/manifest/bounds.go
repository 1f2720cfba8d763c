package manifest

import "strings"

// maxString is how many bytes a variable, its name included, or an argument may have:
// MAX_ARG_STRLEN of execve(2), without the byte that ends it.
const maxString = 128<<10 - 1

// maxBundle is how many bytes of variables, arguments and files a bundle may have. It
// is kept in memory, and a short manifest can say a lot: $(A)$(A), one ConfigMap in
// many volumes.
const maxBundle = 64 << 20

// argument verifies that a process can be given s, as an argument or a variable. What
// is wrong says nothing of s, which may be secret.
func (c *compiler) argument(at, s string) bool {
	switch {
	case strings.Contains(s, "\x00"):
		c.addf(at, zeroByte)
	case len(s) > maxString:
		c.addf(at, "must have at most %d bytes, which is what the kernel takes", maxString)
	default:
		return c.charge(at, len(s))
	}
	return false
}

// charge counts bytes of the bundle. That there are too many is said once.
func (c *compiler) charge(at string, n int) bool {
	before := c.size
	c.size += n
	if c.size > maxBundle && before <= maxBundle {
		c.addf(at, "with it there are more than %d bytes of variables, arguments and files", maxBundle)
	}
	return c.size <= maxBundle
}
