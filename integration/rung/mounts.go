package rung

import (
	"fmt"
	"strings"
)

func listMounts(v *view) (objects, error) {
	mounts, err := v.mountinfo()
	if err != nil {
		return nil, err
	}
	return parseMounts(mounts)
}

// parseMounts reads the lines of proc_pid_mountinfo(5). The ids of mounts and
// of peer groups are left out: a mount that is made again as it was is the
// same to a test. Mounts that are equal otherwise are counted.
func parseMounts(mountinfo string) (objects, error) {
	o := objects{}
	for l := range strings.Lines(mountinfo) {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw
		fields := strings.Fields(l)
		if len(fields) < 7 {
			return nil, fmt.Errorf("mountinfo line %q: too short", l)
		}
		root, target, options := fields[3], fields[4], fields[5]
		var propagation []string
		rest := fields[6:]
		for len(rest) > 0 && rest[0] != "-" {
			kind, _, _ := strings.Cut(rest[0], ":")
			propagation = append(propagation, kind)
			rest = rest[1:]
		}
		if len(rest) < 3 {
			return nil, fmt.Errorf("mountinfo line %q: no file system after the dash", l)
		}
		fstype, source, super := rest[1], rest[2], strings.Join(rest[3:], " ")
		line := fmt.Sprintf("%s: %s of %s %s (%s) [%s] %s", target, root, fstype, source, options, strings.Join(propagation, " "), super)
		o.add(line)
	}
	return o, nil
}

// add counts line: the second equal one becomes "line #2".
func (o objects) add(line string) {
	key := line
	for n := 2; ; n++ {
		if _, ok := o[key]; !ok {
			o[key] = key
			return
		}
		key = fmt.Sprintf("%s #%d", line, n)
	}
}
