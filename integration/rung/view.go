package rung

import "os"

// view reads, for one snapshot, what several sections want, once.
type view struct {
	ps     []process
	mounts string
}

func (v *view) processes() (_ []process, err error) {
	if v.ps == nil {
		v.ps, err = processes()
	}
	return v.ps, err
}

func (v *view) mountinfo() (string, error) {
	if v.mounts == "" {
		b, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return "", err
		}
		v.mounts = string(b)
	}
	return v.mounts, nil
}
