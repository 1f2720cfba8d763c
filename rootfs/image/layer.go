package image

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is how much memory the author of a zstd layer can have it take to be
// unpacked, in bytes: what `zstd --ultra -22` does (RFC 8878 has 8 MiB as what
// everybody takes).
const maxWindow = 128 << 20

// readLayer gives the plain tar of a layer, which is plain itself, gzip or zstd, to
// use, and returns the SHA-256 of all of it, in hexadecimal: the DiffID. What use
// leaves unread is read.
func readLayer(ctx context.Context, r io.Reader, use func(tar io.Reader) error) (diffID string, err error) {
	plain, err := decompress(&interruptible{ctx, r})
	if err != nil {
		return "", err
	}
	defer plain.Close()
	sum := sha256.New()
	tar := io.TeeReader(&bounded{r: plain, most: maxLayer}, sum)
	if err := use(tar); err != nil {
		return "", err
	}
	if _, err := io.Copy(io.Discard, tar); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// decompress returns what r has, unpacked if it is gzip or zstd: its first bytes
// tell, and not a media type, as they do to Docker.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch compression(head) {
	case gzipped:
		return gzip.NewReader(b)
	case zstandard:
		d, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case xz, bzip2:
		return nil, fmt.Errorf("is compressed by %s: must be plain, gzip or zstd", compression(head))
	}
	return io.NopCloser(b), nil
}

// How a layer is compressed.
const (
	uncompressed = ""
	gzipped      = "gzip" // RFC 1952
	zstandard    = "zstd" // RFC 8878
	// What Docker imports as well.
	xz    = "xz"
	bzip2 = "bzip2"
)

func compression(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstandard
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		return xz
	case len(head) >= 10 && string(head[:3]) == "BZh" && string(head[4:10]) == "1AY&SY": // a name can begin so
		return bzip2
	}
	return uncompressed
}

// maxLayer is the largest plain tar of a layer, in bytes: what a few kilobytes that
// unpack to far more can take of the host's disk.
const maxLayer = 256 << 30

// bounded is a reader that fails beyond most bytes.
type bounded struct {
	r    io.Reader
	most int64
	read int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.read += int64(n); b.read > b.most {
		return 0, fmt.Errorf("is larger than %d bytes, unpacked", b.most)
	}
	return n, err
}
