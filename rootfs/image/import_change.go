package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// change applies an instruction of a Dockerfile to a configuration
// (https://docs.docker.com/reference/dockerfile/).
func change(c *v1.Config, instruction string) error {
	verb, rest, _ := strings.Cut(strings.TrimSpace(instruction), " ")
	rest = strings.TrimSpace(rest)
	if rest == "" {
		return errors.New("has no argument")
	}
	var err error
	switch strings.ToUpper(verb) {
	case "CMD":
		c.Cmd, err = command(rest)
	case "ENTRYPOINT":
		c.Entrypoint, err = command(rest)
	case "ENV":
		c.Env, err = environment(c.Env, rest)
	case "EXPOSE":
		c.ExposedPorts, err = ports(c.ExposedPorts, rest)
	case "LABEL":
		c.Labels, err = labels(c.Labels, rest)
	case "STOPSIGNAL":
		c.StopSignal = rest
	case "USER":
		c.User = rest
	case "VOLUME":
		c.Volumes, err = volumes(c.Volumes, rest)
	case "WORKDIR":
		if !path.IsAbs(rest) { // it begins where the one before is
			rest = path.Join("/", c.WorkingDir, rest)
		}
		c.WorkingDir = path.Clean(rest)
	default:
		return errors.New("is none of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR")
	}
	return err
}

// command reads the arguments of CMD or ENTRYPOINT: a JSON array, or a line for the
// shell.
func command(s string) ([]string, error) {
	if !strings.HasPrefix(s, "[") {
		return []string{"/bin/sh", "-c", s}, nil
	}
	return list(s)
}

// list reads a JSON array of strings.
func list(s string) ([]string, error) {
	var all []string
	if err := json.Unmarshal([]byte(s), &all); err != nil {
		return nil, fmt.Errorf("is no JSON array of strings: %w", err)
	}
	return all, nil
}

// environment adds KEY=VALUE…, or KEY VALUE.
func environment(env []string, s string) ([]string, error) {
	pairs, err := keyValues(s)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, p[0]+"=") })
		env = append(env, p[0]+"="+p[1])
	}
	return env, nil
}

func labels(m map[string]string, s string) (map[string]string, error) {
	pairs, err := keyValues(s)
	if err != nil {
		return nil, err
	}
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	for _, p := range pairs {
		m[p[0]] = p[1]
	}
	return m, nil
}

// keyValues reads KEY=VALUE…, where a value may be quoted, or KEY VALUE.
func keyValues(s string) ([][2]string, error) {
	all, err := words(s)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(all[0], "=") {
		key, value, ok := strings.Cut(s, " ")
		if !ok {
			return nil, fmt.Errorf("%q has no value", key)
		}
		return [][2]string{{key, strings.TrimSpace(value)}}, nil
	}
	var pairs [][2]string
	for _, w := range all {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" {
			return nil, fmt.Errorf("%q is not KEY=VALUE", w)
		}
		pairs = append(pairs, [2]string{key, value})
	}
	return pairs, nil
}

// words splits a line at spaces that are not quoted by ", ' or \.
func words(s string) ([]string, error) {
	var all []string
	var word strings.Builder
	inWord, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quote != '\'' && i+1 < len(s):
			i++
			word.WriteByte(s[i])
			inWord = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if inWord {
				all = append(all, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%q is not closed", string(quote))
	}
	if inWord {
		all = append(all, word.String())
	}
	return all, nil
}

// ports adds PORT[-PORT][/PROTOCOL]….
func ports(m map[string]struct{}, s string) (map[string]struct{}, error) {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]struct{}{}
	}
	for f := range strings.FieldsSeq(s) {
		number, protocol, ok := strings.Cut(f, "/")
		if !ok {
			protocol = "tcp"
		}
		if !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
			return nil, fmt.Errorf("port %q: protocol must be tcp, udp or sctp", f)
		}
		from, to, ok := strings.Cut(number, "-")
		if !ok {
			to = from
		}
		a, err := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if err != nil || err2 != nil || a == 0 || b < a {
			return nil, fmt.Errorf("port %q: must be 1 to 65535, or a range", f)
		}
		for p := a; p <= b; p++ {
			m[strconv.FormatUint(p, 10)+"/"+protocol] = struct{}{}
		}
	}
	return m, nil
}

// volumes adds paths: a JSON array, or words.
func volumes(m map[string]struct{}, s string) (map[string]struct{}, error) {
	all := strings.Fields(s)
	if strings.HasPrefix(s, "[") {
		var err error
		if all, err = list(s); err != nil {
			return nil, err
		}
	}
	m = maps.Clone(m)
	if m == nil {
		m = map[string]struct{}{}
	}
	for _, v := range all {
		if !path.IsAbs(v) {
			return nil, fmt.Errorf("volume %q: must be an absolute path", v)
		}
		m[v] = struct{}{}
	}
	return m, nil
}
