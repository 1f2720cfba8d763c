package sandbox

import (
	"encoding/json"
)

// maxPodJSON is the largest pod.json, in bytes.
const maxPodJSON = 1 << 20

// ParsePodSpec reads a pod.json of at most 1 MiB, strictly: an unknown or
// duplicate field, a wrong type, null, trailing data, a missing field or a value
// that [PodSpec.Validate] refuses is an error. All that is wrong is reported, in
// the order of the file and then of the fields, as *FieldError joined by
// errors.Join; file is the name that they bear. Defaults are filled in, but for
// the UID.
func ParsePodSpec(file string, data []byte) (*PodSpec, error) {
	ps := problems{file: file}
	spec := new(PodSpec)
	if decodeJSON(&ps, data, maxPodJSON, jsonStrict, spec) {
		// Left out it is the default; podman's 0 is "no limit", which would not be.
		var given struct {
			ShmSize *int64 `json:"shmSize"`
		}
		if json.Unmarshal(data, &given) == nil && given.ShmSize != nil && *given.ShmSize == 0 {
			ps.addf("shmSize", "0: must be greater than 0")
		}
		spec.setDefaults()
		spec.validate(&ps)
	}
	if err := ps.err(); err != nil {
		return nil, err
	}
	return spec, nil
}

// Validate checks a spec with defaults filled in: all that can be checked
// without the host. What is wrong is reported as by [ParsePodSpec], without a
// file.
func (s *PodSpec) Validate() error {
	var ps problems
	s.validate(&ps)
	return ps.err()
}
