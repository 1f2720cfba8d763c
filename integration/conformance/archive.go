package main

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
)

// archive writes a root file system as a tar file. Everything in it belongs to
// root. It is not compressed: the suite unpacks it for every test.
type archive struct {
	file *os.File
	buf  *bufio.Writer
	tar  *tar.Writer
}

func newArchive(path string) (*archive, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	buf := bufio.NewWriterSize(f, 1<<20)
	return &archive{f, buf, tar.NewWriter(buf)}, nil
}

// close completes the file, unless err says that it is not worth it.
func (a *archive) close(err error) error {
	if err == nil {
		err = errors.Join(a.tar.Close(), a.buf.Flush())
	}
	return errors.Join(err, a.file.Close())
}

func (a *archive) header(kind byte, name, target string, mode, size int64) error {
	return a.tar.WriteHeader(&tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: mode, Size: size, Format: tar.FormatGNU})
}

// dir adds a directory; mode is that of chmod(2).
func (a *archive) dir(name string, mode int64) error {
	return a.header(tar.TypeDir, name+"/", "", mode, 0)
}

func (a *archive) text(name string, mode int64, content string) error {
	if err := a.header(tar.TypeReg, name, "", mode, int64(len(content))); err != nil {
		return err
	}
	_, err := io.WriteString(a.tar, content)
	return err
}

// link makes name a further name of the file target.
func (a *archive) link(name, target string) error {
	return a.header(tar.TypeLink, name, target, 0o755, 0)
}

func (a *archive) symlink(name, target string) error {
	return a.header(tar.TypeSymlink, name, target, 0o777, 0)
}

// copy adds the host's file, directory or symbolic link at path.
func (a *archive) copy(name, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	h, err := tar.FileInfoHeader(info, "")
	if err != nil {
		return err
	}
	switch {
	case info.IsDir():
		return a.dir(name, h.Mode)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return a.symlink(name, target)
	}
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	if err := a.header(tar.TypeReg, name, "", h.Mode, h.Size); err != nil {
		return err
	}
	_, err = io.Copy(a.tar, src)
	return err
}
