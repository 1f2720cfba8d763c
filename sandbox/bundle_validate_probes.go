package sandbox

import (
	"net/netip"
	"strings"
)

// validateProbes checks what the monitor does for a container. waited says that it is
// an init container that has to end: what is behind it waits for its end alone.
func (c *PodContainer) validateProbes(ps *problems, at string, waited bool) {
	for _, p := range c.probes() {
		at := at + "." + string(p.kind) + "Probe"
		if waited {
			ps.addf(at, "only for a container that keeps running: not for an init container without restartPolicy \"Always\"")
			continue
		}
		p.probe.validate(ps, at, p.kind)
	}
	if c.Lifecycle != nil && waited {
		ps.addf(at+".lifecycle", "only for a container that keeps running: not for an init container without restartPolicy \"Always\"")
		return
	}
	for _, h := range c.handlers() {
		h.handler.validate(ps, at+".lifecycle."+h.name)
	}
}

func (p *Probe) validate(ps *problems, at string, kind ProbeKind) {
	validateOne(ps, at, "exec, httpGet, tcpSocket or grpc", p.Exec != nil, p.HTTPGet != nil, p.TCPSocket != nil, p.GRPC != nil)
	p.Exec.validate(ps, at+".exec")
	p.HTTPGet.validate(ps, at+".httpGet")
	if t := p.TCPSocket; t != nil {
		validatePort(ps, at+".tcpSocket.port", t.Port)
		validateHost(ps, at+".tcpSocket.host", t.Host)
	}
	if g := p.GRPC; g != nil {
		validatePort(ps, at+".grpc.port", g.Port)
	}
	for _, n := range []struct {
		name  string
		value int64
		least int64
	}{
		{"initialDelaySeconds", p.InitialDelaySeconds, 0},
		{"timeoutSeconds", p.TimeoutSeconds, 1},
		{"periodSeconds", p.PeriodSeconds, 1},
		{"successThreshold", p.SuccessThreshold, 1},
		{"failureThreshold", p.FailureThreshold, 1},
	} {
		if n.value < n.least || n.value > maxGrace {
			ps.addf(at+"."+n.name, "%d: must be %d to %d", n.value, n.least, maxGrace)
		}
	}
	if kind != ProbeReadiness && p.SuccessThreshold > 1 {
		ps.addf(at+".successThreshold", "%d: must be 1 for a %sProbe", p.SuccessThreshold, kind)
	}
	switch grace := p.TerminationGracePeriodSeconds; {
	case grace == nil:
	case kind == ProbeReadiness:
		ps.addf(at+".terminationGracePeriodSeconds", "%d: not for a readinessProbe, which stops nothing", *grace)
	case *grace < 1 || *grace > maxGrace:
		ps.addf(at+".terminationGracePeriodSeconds", "%d: must be 1 to %d", *grace, maxGrace)
	}
}

func (h *LifecycleHandler) validate(ps *problems, at string) {
	validateOne(ps, at, "exec, httpGet or sleep", h.Exec != nil, h.HTTPGet != nil, h.Sleep != nil)
	h.Exec.validate(ps, at+".exec")
	h.HTTPGet.validate(ps, at+".httpGet")
	if s := h.Sleep; s != nil && (s.Seconds < 0 || s.Seconds > maxGrace) {
		ps.addf(at+".sleep.seconds", "%d: must be 0 to %d", s.Seconds, maxGrace)
	}
}

// validateOne wants exactly one of some fields to be given.
func validateOne(ps *problems, at, names string, given ...bool) {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	switch {
	case n == 0:
		ps.addf(at, "must have one of %s", names)
	case n > 1:
		ps.addf(at, "must have one of %s, not %d", names, n)
	}
}

func (e *ExecAction) validate(ps *problems, at string) {
	switch {
	case e == nil:
	case len(e.Command) == 0:
		ps.addf(at+".command", "must have an entry")
	case e.Command[0] == "":
		ps.addf(at+".command[0]", `"": must name what to run`)
	}
}

func (h *HTTPGetAction) validate(ps *problems, at string) {
	if h == nil {
		return
	}
	if strings.ContainsFunc(h.Path, isControl) {
		ps.addf(at+".path", "%s: must not contain control characters", quoteShort(h.Path))
	}
	validatePort(ps, at+".port", h.Port)
	validateHost(ps, at+".host", h.Host)
	if h.Scheme != SchemeHTTP && h.Scheme != SchemeHTTPS {
		ps.addf(at+".scheme", "%s: must be HTTP or HTTPS", quoteShort(h.Scheme))
	}
	for i, header := range h.HTTPHeaders {
		at := indexPath(at+".httpHeaders", i)
		if header.Name == "" || strings.ContainsFunc(header.Name, func(r rune) bool { return !isTokenChar(r) }) {
			ps.addf(at+".name", "%s: must be a token of letters, digits and !#$%%&'*+-.^_`|~", quoteShort(header.Name))
		}
		if strings.ContainsFunc(header.Value, func(r rune) bool { return r != '\t' && isControl(r) }) {
			ps.addf(at+".value", "%s: must not contain control characters", quoteShort(header.Value))
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// isTokenChar is tchar of RFC 9110, 5.6.2.
func isTokenChar(r rune) bool {
	return r < 0x80 && (isAlnum(byte(r)) || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
}

func validatePort(ps *problems, at string, port uint16) {
	if port == 0 {
		ps.addf(at, "0: must be 1 to 65535")
	}
}

// validateHost refuses names: who would be asked for them in the pod's network is the
// containers' to know.
func validateHost(ps *problems, at, host string) {
	if host == "" || host == "localhost" {
		return
	}
	if a, err := netip.ParseAddr(host); err != nil || a.Zone() != "" {
		ps.addf(at, `%s: must be an IP address, or "localhost"`, quoteShort(host))
	}
}
