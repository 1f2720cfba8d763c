package sandbox

import (
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// OneProcessor has the inits of the containers that this process is about to
// make find GOMAXPROCS=1: what libcontainer's init sets for itself, but only
// after Go has begun with a thread and caches for each processor. Of this
// process's environment libcontainer passes on that variable and nothing else.
//
// Hooks inherit the environment: it stays as it is where one of the specs, which
// are those of all these containers, has any; and where the caller has chosen.
func OneProcessor(all ...*specs.Spec) {
	const key = "GOMAXPROCS"
	if os.Getenv(key) != "" {
		return
	}
	for _, s := range all {
		if s.Hooks != nil {
			return
		}
	}
	_ = os.Setenv(key, "1") // a name and a value that are always valid
}
