package netsetup

import "testing"

func TestParseRate(t *testing.T) {
	for in, want := range map[string]uint64{
		"1000": 1000, "1k": 1000, "10M": 10e6, "1Ki": 1024, "2Mi": 2 << 20, "3G": 3e9, "1Gi": 1 << 30, "1T": 1e12, "1P": 1e15, "0": 0,
	} {
		if got, err := ParseRate(in); err != nil || got != want {
			t.Errorf("ParseRate(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "M", "10m", "1.5M", "-1M", "10K", "10ki", "10MM", "10i", "999", "2P", "1000000000000001", "99999999999999999999", "10Pi", "10000P", "1e6", " 1M"} {
		if got, err := ParseRate(in); err == nil {
			t.Errorf("ParseRate(%q) = %d; want an error", in, got)
		}
	}
}
