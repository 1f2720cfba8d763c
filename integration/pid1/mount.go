package pid1

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Mount is one line of a rung's mount table.
type Mount struct {
	FSType, Source, Target string
	Flags                  uintptr // MS_* of mount(2)
	Data                   string
	Mode                   os.FileMode // of Target if it is made; 0 is 0755
	Optional               bool        // go on where the kernel or Target lacks it
}

// MountAll makes the targets and the mounts in the order of the table.
func MountAll(table []Mount) error {
	for _, m := range table {
		if err := m.mount(); err != nil && !m.Optional {
			return err
		}
	}
	return nil
}

func (m Mount) mount() error {
	mode := m.Mode
	if mode == 0 {
		mode = 0o755
	}
	if _, err := os.Lstat(m.Target); err != nil {
		if m.Optional {
			return err
		}
		if err := os.MkdirAll(m.Target, mode); err != nil {
			return err
		}
	}
	source := m.Source
	if source == "" {
		source = m.FSType
	}
	if err := unix.Mount(source, m.Target, m.FSType, m.Flags, m.Data); err != nil {
		return fmt.Errorf("mount %s %q on %q: %w", m.FSType, source, m.Target, err)
	}
	return nil
}
