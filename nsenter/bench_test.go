package nsenter

import (
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// BenchmarkCreate is a pod's way up and down, as far as this package goes.
func BenchmarkCreate(b *testing.B) {
	plain := []Kind{Cgroup, IPC, UTS, Net}
	for _, bench := range []struct {
		name string
		cfg  Config
	}{
		{"plain", Config{Kinds: plain, Hostname: "pod"}},
		{"pid", Config{Kinds: append([]Kind{PID}, plain...), Hostname: "pod"}},
		{"user", mapped(Config{Kinds: plain, Hostname: "pod"})},
		{"user+pid", mapped(Config{Kinds: append([]Kind{PID}, plain...), Hostname: "pod"})},
	} {
		b.Run(bench.name, func(b *testing.B) {
			rung.Privileged(b)
			bench.cfg.PinDir = pinDir(b)
			for b.Loop() {
				res, err := Create(bench.cfg)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				tearDown(b, bench.cfg.PinDir, res)
				b.StartTimer()
			}
		})
	}
}
