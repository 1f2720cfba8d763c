package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseBytes takes a number with a binary unit: "64m", "1.5 GiB", "2048".
// A kilobyte has 1024 bytes.
func parseBytes(s string) (int64, error) {
	i := strings.LastIndexAny(s, "0123456789. ")
	number, unit := strings.TrimSuffix(s[:i+1], " "), strings.ToLower(s[i+1:])
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || strings.Trim(number, "0123456789.") != "" { // such as 1e3
		return 0, fmt.Errorf("invalid size: %q", s)
	}
	shift := 0
	if unit != "" && unit != "b" {
		letter, rest := unit[:1], unit[1:]
		shift = 10 * (1 + strings.Index("kmgtp", letter))
		if shift == 0 || rest != "" && rest != "b" && rest != "ib" {
			return 0, fmt.Errorf("invalid suffix: %q", s[i+1:])
		}
	}
	n = math.Ldexp(n, shift)
	if n >= math.MaxInt64 {
		return 0, fmt.Errorf("invalid size: %q is too large", s)
	}
	return int64(n), nil
}

// formatBytes prints a size with the largest binary unit that it fills.
func formatBytes(n uint64) string {
	const units = "KMGTPE"
	i := -1
	x := float64(n)
	for x >= 1024 && i < len(units)-1 {
		x /= 1024
		i++
	}
	if i < 0 {
		return fmt.Sprintf("%dB", n)
	}
	return fmt.Sprintf("%.4g%ciB", x, units[i])
}
