package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// write makes the file args[0] of the text args[1].
func write(_ io.Writer, args []string) error {
	return os.WriteFile(args[0], []byte(args[1]), 0o644)
}

func read(out io.Writer, args []string) error {
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	if len(b) == 0 || b[len(b)-1] != '\n' {
		b = append(b, '\n')
	}
	_, err = out.Write(b)
	return err
}

// fillPiece is how much fill writes at once: a page, so that the last one tells
// how full a tmpfs can get.
const fillPiece = 4096

// fill writes up to args[1] bytes to the file, and prints how many there was
// room for and why not more.
func fill(out io.Writer, args []string) error {
	size, err := number(args[1])
	if err != nil {
		return err
	}
	f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	piece := make([]byte, fillPiece)
	total, name := 0, "OK"
	for total < size {
		n, err := f.Write(piece[:min(len(piece), size-total)])
		total += n
		if err != nil {
			name = describe(err)
			break
		}
	}
	fmt.Fprintln(out, total, name)
	return nil
}

// openWrite tries to open a file that is there for writing, and changes
// nothing.
func openWrite(_ io.Writer, args []string) error {
	fd, err := unix.Open(args[0], unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: args[0], Err: err}
	}
	return errors.Join(unix.Close(fd))
}
