package netsetup

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kubernetes' annotations of a pod that limit its bandwidth, in bits per second
// (k8s.io/kubernetes/pkg/util/bandwidth).
const (
	AnnotationIngress = "kubernetes.io/ingress-bandwidth"
	AnnotationEgress  = "kubernetes.io/egress-bandwidth"
)

var errRate = errors.New("not a rate in bits per second such as 10M")

// ParseRate reads a bandwidth in bits per second, in the form of Kubernetes'
// quantities as far as they are whole numbers: digits, and k, M, G, T, P for
// powers of 1000, or Ki, Mi, Gi, Ti, Pi for powers of 1024.
func ParseRate(s string) (uint64, error) {
	digits := strings.TrimRight(s, "kKMGTPi")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, errRate
	}
	factor := uint64(1)
	if suffix := s[len(digits):]; suffix != "" {
		base := uint64(1000)
		letter, binary := strings.CutSuffix(suffix, "i")
		if binary {
			base = 1024
		}
		power := strings.Index("kMGTP", letter) + 1
		if binary && letter == "K" {
			power = 1
		} else if binary && letter == "k" {
			power = 0
		}
		if len(letter) != 1 || power == 0 {
			return 0, errRate
		}
		for range power {
			factor *= base
		}
	}
	if n > math.MaxUint64/factor {
		return 0, errRate
	}
	return n * factor, CheckRate(n * factor)
}

// CheckRate refuses a bandwidth that no limit can have; 0 is none.
func CheckRate(bits uint64) error {
	if bits != 0 && (bits < minRate || bits > maxRate) {
		return fmt.Errorf("must be %d to %d bits per second", uint64(minRate), uint64(maxRate))
	}
	return nil
}
