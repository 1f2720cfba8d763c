package main

import (
	"encoding/json"

	"github.com/podrt/podrt/sandbox"
)

func featuresCommand() *command {
	return &command{
		name:  "features",
		usage: "show the enabled features",
		about: `Show the enabled features.
   The result is parsable as a JSON.
   See https://github.com/opencontainers/runtime-spec/blob/main/features.md for the type definition.`,
		run: func(e *env, _ []string) error {
			enc := json.NewEncoder(e.stdout)
			enc.SetIndent("", "    ")
			return enc.Encode(sandbox.Features(version, commit()))
		},
	}
}
