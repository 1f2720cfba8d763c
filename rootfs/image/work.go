package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs"
)

// work is a directory below images/work in which an image is prepared. It is this
// process's as long as lock is open: what another process can lock is nobody's.
//
//	blobs/HEX       fetched and verified
//	layers/DIFFID   unpacked and verified
//	temp/           neither
type work struct {
	dir  string
	lock *os.File
}

// begin makes a work directory, and takes away what killed processes have left.
func (s *Store) begin() (*work, error) {
	lock, err := s.lock(unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	dead, _ := s.sweep() // what it cannot take away is not in this one's way, and removal tells
	w, err := s.newWork()
	_ = lock.Close()
	_ = dead.end()
	if err != nil {
		return nil, err
	}
	for _, sub := range []string{"blobs", "layers", "temp"} {
		if err := os.Mkdir(filepath.Join(w.dir, sub), 0o700); err != nil {
			return nil, errors.Join(err, w.end())
		}
	}
	return w, nil
}

// newWork makes an empty work directory. The store's lock is held exclusively, so
// that nobody sweeps between the two steps.
func (s *Store) newWork() (*work, error) {
	dir, err := os.MkdirTemp(s.workDir(), "")
	if err != nil {
		return nil, err
	}
	w := &work{dir: dir}
	if w.lock, err = os.Open(dir); err == nil {
		err = flock(w.lock, unix.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

// end removes the work directory with what was not put into place. w may be nil.
func (w *work) end() error {
	if w == nil {
		return nil
	}
	err := rootfs.RemoveAll(w.dir)
	if w.lock != nil {
		_ = w.lock.Close()
	}
	return err
}

func (w *work) blob(hex string) string     { return filepath.Join(w.dir, "blobs", hex) }
func (w *work) layer(diffID string) string { return filepath.Join(w.dir, "layers", diffID) }

// temp returns a new empty directory.
func (w *work) temp() (string, error) { return os.MkdirTemp(filepath.Join(w.dir, "temp"), "") }

// spool writes what r has to a blob, and returns its digest and size. With want,
// both must be as it says; no more is read than that.
func (w *work) spool(ctx context.Context, r io.Reader, want *v1.Descriptor) (h v1.Hash, size int64, retErr error) {
	f, err := os.CreateTemp(filepath.Join(w.dir, "temp"), "")
	if err != nil {
		return h, 0, err
	}
	defer func() {
		_ = f.Close()
		if retErr != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if want != nil {
		r = io.LimitReader(r, want.Size+1)
	}
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, sum), &interruptible{ctx, r})
	if err != nil {
		return h, 0, err
	}
	h = v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}
	switch {
	case want == nil:
	case size > want.Size:
		return h, 0, fmt.Errorf("is larger than %d bytes, which its descriptor says", want.Size)
	case size != want.Size:
		return h, 0, fmt.Errorf("has %d bytes; its descriptor says %d", size, want.Size)
	case h != want.Digest:
		return h, 0, fmt.Errorf("has the digest %s; its descriptor says %s", h, want.Digest)
	}
	return h, size, os.Rename(f.Name(), w.blob(h.Hex))
}

// put writes a blob.
func (w *work) put(data []byte) (v1.Hash, error) {
	sum := sha256.Sum256(data)
	h := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
	return h, os.WriteFile(w.blob(h.Hex), data, 0o600)
}

// unpack unpacks a layer from r, and returns its DiffID. With want, it must be that.
func (w *work) unpack(ctx context.Context, r io.Reader, want string) (diffID string, err error) {
	temp, err := w.temp()
	if err != nil {
		return "", err
	}
	// "dir" below: temp's own mode is not the layer's.
	dir := filepath.Join(temp, "dir")
	diffID, err = readLayer(ctx, r, func(tar io.Reader) error { return unpack(ctx, tar, dir) })
	if err == nil && want != "" && diffID != want {
		err = fmt.Errorf("has the DiffID sha256:%s; the image's configuration says sha256:%s", diffID, want)
	}
	if err == nil {
		err = os.Rename(dir, w.layer(diffID))
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		err = nil // the same layer twice
	}
	return diffID, errors.Join(err, rootfs.RemoveAll(temp))
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}
