package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/podrt/podrt/sandbox"
)

// Parts are the names of what [Bundle.Write] puts into a directory.
var Parts = []string{sandbox.PodSpecFile, "containers", volumesDir}

// Write writes the bundle into dir, an existing directory. On an error part of it
// is there. Only root can read what may hold secrets: config.json, and the
// directory of volumes.
func (b *Bundle) Write(dir string) error {
	for _, c := range b.Containers {
		sub := filepath.Join(dir, "containers", c.Name)
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return fmt.Errorf("write bundle: %w", err)
		}
		if err := writeJSON(filepath.Join(sub, sandbox.SpecFile), c.Config); err != nil {
			return err
		}
	}
	for i, f := range b.Files {
		if i == 0 {
			if err := os.Mkdir(filepath.Join(dir, volumesDir), 0o700); err != nil {
				return fmt.Errorf("write bundle: %w", err)
			}
		}
		if err := f.write(dir); err != nil {
			return fmt.Errorf("write bundle: %w", err)
		}
	}
	return writeJSON(filepath.Join(dir, sandbox.PodSpecFile), b.Spec)
}

func (f *File) write(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	if f.Mode.IsDir() {
		if err := os.Mkdir(path, 0o700); err != nil {
			return err
		}
	} else if err := writeNew(path, f.Data); err != nil {
		return err
	}
	if err := os.Lchown(path, 0, int(f.GID)); err != nil {
		return err
	}
	return os.Chmod(path, f.Mode&(fs.ModePerm|fs.ModeSetgid)) // whatever the umask
}

// writeNew writes a file that only its owner can read, and that does not exist.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

func writeJSON(path string, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	if err := writeNew(path, b.Bytes()); err != nil {
		return fmt.Errorf("write bundle: %w", err)
	}
	return nil
}
