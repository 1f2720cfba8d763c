package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of <linux/sem.h>.
const (
	semGetVal = 12
	semSetVal = 16
)

// semSet makes a SysV semaphore set of one, if there is none with the key, and
// sets its value: semget(2), semctl(2).
func semSet(_ io.Writer, args []string) error {
	id, err := semaphore(args[0], unix.IPC_CREAT|0o600)
	if err != nil {
		return err
	}
	value, err := number(args[1])
	if err != nil {
		return err
	}
	if _, _, errno := unix.Syscall6(unix.SYS_SEMCTL, id, 0, semSetVal, uintptr(value), 0, 0); errno != 0 {
		return fmt.Errorf("semctl SETVAL: %w", errno)
	}
	return nil
}

// semGet prints the value of the semaphore with the key.
func semGet(out io.Writer, args []string) error {
	id, err := semaphore(args[0], 0)
	if err != nil {
		return err
	}
	value, _, errno := unix.Syscall6(unix.SYS_SEMCTL, id, 0, semGetVal, 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("semctl GETVAL: %w", errno)
	}
	fmt.Fprintln(out, value)
	return nil
}

func semaphore(key string, flags uintptr) (uintptr, error) {
	k, err := number(key)
	if err != nil {
		return 0, err
	}
	id, _, errno := unix.Syscall(unix.SYS_SEMGET, uintptr(k), 1, flags)
	if errno != 0 {
		return 0, fmt.Errorf("semget: %w", errno)
	}
	return id, nil
}

// sysvShmSize is that of the segments that sysvShmWrite makes.
const sysvShmSize = 4096

// sysvShmWrite makes a SysV shared memory segment and writes text to it:
// shmget(2), shmat(2).
func sysvShmWrite(_ io.Writer, args []string) error {
	mem, err := sysvShm(args[0], unix.IPC_CREAT|0o600)
	if err != nil {
		return err
	}
	copy(mem, append([]byte(args[1]), 0))
	return unix.SysvShmDetach(mem)
}

func sysvShmRead(out io.Writer, args []string) error {
	mem, err := sysvShm(args[0], 0)
	if err != nil {
		return err
	}
	text, _, _ := bytes.Cut(mem, []byte{0})
	fmt.Fprintf(out, "%s\n", text)
	return unix.SysvShmDetach(mem)
}

func sysvShm(key string, flags int) ([]byte, error) {
	k, err := number(key)
	if err != nil {
		return nil, err
	}
	id, err := unix.SysvShmGet(k, sysvShmSize, flags)
	if err != nil {
		return nil, fmt.Errorf("shmget: %w", err)
	}
	return unix.SysvShmAttach(id, 0, 0)
}

// shmWrite writes text to a POSIX shared memory object: shm_overview(7).
func shmWrite(_ io.Writer, args []string) error {
	return os.WriteFile(filepath.Join("/dev/shm", args[0]), []byte(args[1]), 0o600)
}

func shmRead(out io.Writer, args []string) error {
	return read(out, []string{filepath.Join("/dev/shm", args[0])})
}

// mqMessage is the size of the messages of the queues that mqSend makes.
const mqMessage = 256

// mqSend makes a POSIX message queue and sends text to it: mq_overview(7). The
// kernel wants the name without the slash.
func mqSend(_ io.Writer, args []string) error {
	attr := struct{ flags, maxmsg, msgsize, curmsgs, _, _, _, _ int64 }{maxmsg: 4, msgsize: mqMessage}
	fd, err := mqOpen(args[0], unix.O_WRONLY|unix.O_CREAT|unix.O_NONBLOCK, unsafe.Pointer(&attr))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	text := []byte(args[1])
	if _, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDSEND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(text))), uintptr(len(text)), 0, 0, 0); errno != 0 {
		return fmt.Errorf("mq_timedsend: %w", errno)
	}
	return nil
}

func mqRecv(out io.Writer, args []string) error {
	fd, err := mqOpen(args[0], unix.O_RDONLY|unix.O_NONBLOCK, nil)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	text := make([]byte, mqMessage)
	n, _, errno := unix.Syscall6(unix.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(text))), uintptr(len(text)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("mq_timedreceive: %w", errno)
	}
	fmt.Fprintf(out, "%s\n", text[:n])
	return nil
}

func mqOpen(name string, flags uintptr, attr unsafe.Pointer) (int, error) {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return -1, err
	}
	fd, _, errno := unix.Syscall6(unix.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)), flags|unix.O_CLOEXEC, 0o600, uintptr(attr), 0, 0)
	if errno != 0 {
		return -1, fmt.Errorf("mq_open: %w", errno)
	}
	return int(fd), nil
}

// sysvShmHold keeps a segment of SysV shared memory attached.
func sysvShmHold(out io.Writer, args []string) error {
	if _, err := sysvShm(args[0], unix.IPC_CREAT|0o600); err != nil {
		return err
	}
	return sleep(out, nil)
}
