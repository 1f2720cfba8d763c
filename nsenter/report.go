package nsenter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"syscall"
)

// report is what the sandbox process said, in the format of sandbox.h.
type report struct {
	pins      []Pin
	initPID   int    // 0: none
	initStart uint64 // clock ticks since boot
	err       *Error
	done      bool // all stands; without it and without err the process died
}

// parseReport reads a whole report; pinDir makes its pins paths. One that ends
// in the middle of a record ends before it: its sender was killed.
func parseReport(b []byte, pinDir string) (*report, error) {
	r := &report{}
	for len(b) >= recordHeaderSize {
		kind := binary.NativeEndian.Uint32(b)
		size := uint64(binary.NativeEndian.Uint32(b[4:]))
		b = b[recordHeaderSize:]
		if size > uint64(len(b)) {
			break
		}
		if err := r.add(kind, b[:size], pinDir); err != nil {
			return nil, err
		}
		b = b[size:]
	}
	return r, nil
}

func (r *report) add(kind uint32, payload []byte, pinDir string) error {
	n := binary.NativeEndian
	switch {
	case kind == reportPin && len(payload) == 24:
		k, ok := kindOf(n.Uint32(payload))
		if !ok {
			break
		}
		r.pins = append(r.pins, Pin{
			Kind: k,
			Path: filepath.Join(pinDir, string(k)),
			Dev:  n.Uint64(payload[8:]),
			Ino:  n.Uint64(payload[16:]),
		})
		return nil
	case kind == reportInit && len(payload) == 16:
		r.initPID = int(n.Uint32(payload))
		r.initStart = n.Uint64(payload[8:])
		return nil
	case kind == reportError && len(payload) >= 4:
		texts := bytes.Split(payload[4:], []byte{0})
		if len(texts) != 4 || len(texts[3]) != 0 {
			break
		}
		r.err = &Error{
			Errno:  syscall.Errno(n.Uint32(payload)),
			Step:   string(texts[0]),
			Object: string(texts[1]),
			Detail: string(texts[2]),
		}
		return nil
	case kind == reportDone && len(payload) == 0:
		r.done = true
		return nil
	}
	return fmt.Errorf("sandbox process sent an unknown record: type %d, %d bytes", kind, len(payload))
}
