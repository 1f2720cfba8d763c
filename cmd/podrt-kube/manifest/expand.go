package manifest

import "strings"

// expand replaces $(NAME) by what value says of NAME, and $$ by $. What value does
// not know stays as it is: so Kubernetes has it for command, args and env
// (k8s.io/kubernetes/third_party/forked/golang/expansion). unknown are its names.
func expand(s string, value func(string) (string, bool)) (out string, unknown []string) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			b.WriteString(s)
			return b.String(), unknown
		}
		b.WriteString(s[:i])
		s = s[i:]
		switch s[1] {
		case '$':
			b.WriteByte('$')
			s = s[2:]
			continue
		case '(':
			if end := strings.IndexByte(s, ')'); end > 0 {
				name := s[2:end]
				if v, ok := value(name); ok {
					b.WriteString(v)
				} else {
					b.WriteString(s[:end+1])
					unknown = append(unknown, name)
				}
				s = s[end+1:]
				continue
			}
			b.WriteString(s[:2]) // not closed
			s = s[2:]
		default:
			b.WriteByte('$')
			s = s[1:]
		}
	}
}
