package sandbox

import (
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/podrt/podrt/cgroups"
)

func (s *PodSpec) validate(ps *problems) {
	if s.PodVersion != PodVersion {
		ps.addf("podVersion", "%s: not supported; this podrt reads %s", quoteShort(s.PodVersion), PodVersion)
	}
	s.Metadata.validate(ps)
	s.validateNamespaces(ps)
	s.validateUserNamespace(ps)
	s.validateTimeOffsets(ps)
	s.validateNetwork(ps)
	s.validateResources(ps)
	s.validateVolumes(ps)
	s.validateLife(ps)
	s.validateContainers(ps)
}

// Forms of names, as messages show them. They are checked by hand: a regular
// expression would be compiled at the start of every container.
const (
	podNameForm       = "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}"
	podUIDForm        = "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
	containerNameForm = "[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}"
)

func isPodName(s string) bool       { return isName(s, "_.-", 63) }
func isPodUID(s string) bool        { return isName(s, "_.-", 128) }
func isContainerName(s string) bool { return isName(s, "_-", 63) }

// isName tells whether s is of 1 to limit letters, digits and bytes of other,
// and begins with a letter or digit.
func isName(s, other string, limit int) bool {
	if s == "" || len(s) > limit || !isAlnum(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte(other, s[i]) < 0 {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// maxKey is the length of a label's key, in bytes: that of a Kubernetes key
// with its prefix, 253 + 1 + 63.
const maxKey = 317

func (m *PodMetadata) validate(ps *problems) {
	if !isPodName(m.Name) {
		ps.addf("metadata.name", "%s: must match %s", quoteShort(m.Name), podNameForm)
	}
	if m.UID != "" && !isPodUID(m.UID) {
		ps.addf("metadata.uid", "%s: must match %s", quoteShort(m.UID), podUIDForm)
	}
	validateKeys(ps, "metadata.labels", m.Labels)
	validateKeys(ps, "metadata.annotations", m.Annotations)
}

// validateKeys refuses keys that --label KEY=VALUE or a table could not hold.
func validateKeys(ps *problems, path string, m map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		bad := strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == '=' || r > '~' })
		if key == "" || len(key) > maxKey || bad {
			ps.addf(path, "key %s: must be 1 to %d bytes of printable ASCII without space and \"=\"", quoteShort(key), maxKey)
			return // a field has one problem
		}
	}
}

func (s *PodSpec) validateResources(ps *problems) {
	if s.Resources != nil && len(s.Resources.Devices) > 0 {
		// cgroups leaves them aside; silence would look like consent.
		ps.addf("resources.devices", "device rules are each container's: linux.resources.devices in its config.json")
	}
	if err := cgroups.Validate(s.Resources); err != nil {
		errs := []error{err}
		var joined interface{ Unwrap() []error }
		if errors.As(err, &joined) {
			errs = joined.Unwrap()
		}
		for _, err := range errs {
			at, problem, _ := strings.Cut(err.Error(), ": ")
			ps.addf(at, "%s", problem)
		}
	}
	if slices.Contains(strings.Split(s.CgroupParent, "/"), "..") {
		ps.addf("cgroupParent", `%s: must not contain ".."`, quoteShort(s.CgroupParent))
	} else if s.CgroupParent != "" && !isClean(s.CgroupParent) {
		ps.addf("cgroupParent", "%s: must be clean: %s", quoteShort(s.CgroupParent), quoteShort(path.Clean(s.CgroupParent)))
	}
	if s.ShmSize <= 0 {
		ps.addf("shmSize", "%d: must be greater than 0", s.ShmSize)
	}
}

func (s *PodSpec) validateLife(ps *problems) {
	if validatePolicy(ps, "restartPolicy", s.RestartPolicy) {
		switch {
		case s.restartsAny():
			s.RestartBackOff.validate(ps)
		case s.RestartBackOff != nil:
			ps.addf("restartBackOff", "nothing is started again with restartPolicy %q", s.RestartPolicy)
		}
	}
	switch grace := s.TerminationGracePeriodSeconds; {
	case grace == nil:
		ps.addf("terminationGracePeriodSeconds", "required")
	case *grace < 0 || *grace > maxGrace:
		ps.addf("terminationGracePeriodSeconds", "%d: must be 0 to %d", *grace, maxGrace)
	}
}

func validatePolicy(ps *problems, at, policy string) bool {
	ok := slices.Contains([]string{RestartAlways, RestartOnFailure, RestartNever}, policy)
	if !ok {
		ps.addf(at, "%s: must be Always, OnFailure or Never", quoteShort(policy))
	}
	return ok
}

func (b *RestartBackOff) validate(ps *problems) {
	switch {
	case b == nil:
		ps.addf("restartBackOff", "required")
		return
	case b.InitialSeconds < 1 || b.InitialSeconds > maxGrace:
		ps.addf("restartBackOff.initialSeconds", "%d: must be 1 to %d", b.InitialSeconds, maxGrace)
	case b.MaxSeconds < b.InitialSeconds || b.MaxSeconds > maxGrace:
		ps.addf("restartBackOff.maxSeconds", "%d: must be %d, which initialSeconds is, to %d", b.MaxSeconds, b.InitialSeconds, maxGrace)
	}
}

// maxGrace is the longest grace period, in seconds: 68 years.
const maxGrace = 1<<31 - 1

// isClean tells whether p has no empty, "." or needless ".." element and does
// not end in a slash.
func isClean(p string) bool { return path.Clean(p) == p }
