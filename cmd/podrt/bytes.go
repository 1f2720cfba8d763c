package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// parseBytes takes a number with a binary unit: "64m", "1.5 GiB", "2048".
// A kilobyte has 1024 bytes. What is no size is told of in runc's words.
func parseBytes(s string) (int64, error) {
	i := strings.LastIndexAny(s, "0123456789. ")
	if i < 0 {
		return 0, fmt.Errorf("invalid size: '%s'", s)
	}
	number, unit := strings.TrimSuffix(s[:i+1], " "), s[i+1:]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, fmt.Errorf("invalid size: '%s'", s)
	}
	shift := 0
	if len(unit) <= len("kib") {
		unit = strings.ToLower(unit)
	}
	if unit != "" && unit != "b" {
		letter, rest := unit[:1], unit[1:]
		shift = 10 * (1 + strings.Index("kmgtp", letter))
		if shift == 0 || rest != "" && rest != "b" && rest != "ib" {
			return 0, fmt.Errorf("invalid suffix: '%s'", unit)
		}
	}
	n = math.Ldexp(n, shift)
	if n >= math.MaxInt64 {
		return 0, fmt.Errorf("invalid size: '%s' is too large", s)
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
