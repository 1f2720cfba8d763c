package manifest

import "strings"

// expand replaces $(NAME) by what value says of NAME, and $$ by $. What value does
// not know stays as it is: so Kubernetes has it for command, args and env
// (k8s.io/kubernetes/third_party/forked/golang/expansion). unknown are its names.
// A result of more than limit bytes is cut off somewhere behind them.
func expand(s string, value func(string) (string, bool), limit int) (out string, unknown []string) {
	var b strings.Builder
	closed := strings.LastIndexByte(s, ')') // in what is left of s
	for b.Len() <= limit {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s, closed = s[i:], closed-i
		done := 1
		switch {
		case s[1] == '$':
			b.WriteByte('$')
			done = 2
		case s[1] == '(' && closed > 0:
			end := strings.IndexByte(s, ')')
			name := s[2:end]
			if v, ok := value(name); ok {
				b.WriteString(v)
			} else {
				b.WriteString(s[:end+1])
				unknown = append(unknown, name)
			}
			done = end + 1
		default:
			b.WriteByte('$')
		}
		s, closed = s[done:], closed-done
	}
	return b.String(), unknown
}
