package cgroups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxListed bounds the numbers in a list: no kernel has more CPUs or nodes.
const maxListed = 1 << 16

// parseList parses a list of CPUs or memory nodes in the list format of
// cpuset(7), such as "0-3,8" or "0-31:2/4", and returns it sorted.
func parseList(s string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(s, ",") {
		span, stride, strided := strings.Cut(part, ":")
		from, to, isRange := strings.Cut(span, "-")
		first, err := parseListed(from)
		if err != nil {
			return nil, err
		}
		last := first
		if isRange {
			if last, err = parseListed(to); err != nil {
				return nil, err
			}
		}
		if last < first {
			return nil, fmt.Errorf("range %q goes backwards", span)
		}
		used, group := 1, 1
		if strided {
			// 0-31:2/4 is the first 2 of each group of 4.
			u, g, ok := strings.Cut(stride, "/")
			var uerr, gerr error
			used, uerr = parseListed(u)
			group, gerr = parseListed(g)
			if !ok || !isRange || uerr != nil || gerr != nil || used < 1 || used > group {
				return nil, fmt.Errorf("range %q is not of the form FIRST-LAST:USED/GROUP", part)
			}
		}
		for i := first; i <= last; i++ {
			if (i-first)%group < used {
				list = append(list, i)
			}
		}
		if len(list) > 2*maxListed {
			return nil, fmt.Errorf("list is too long")
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func parseListed(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || s[0] == '+' {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	if n >= maxListed {
		return 0, fmt.Errorf("%d is too large", n)
	}
	return int(n), nil
}

// missingFrom returns the first of want that is not in have; both are sorted.
func missingFrom(want, have []int) (int, bool) {
	for _, n := range want {
		if _, ok := slices.BinarySearch(have, n); !ok {
			return n, true
		}
	}
	return 0, false
}
