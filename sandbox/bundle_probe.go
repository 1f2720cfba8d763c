package sandbox

// Defaults of probes, as Kubernetes'.
const (
	DefaultProbeTimeout          = 1  // seconds
	DefaultProbePeriod           = 10 // seconds
	DefaultProbeSuccessThreshold = 1
	DefaultProbeFailureThreshold = 3
)

// Probe asks one of the pod's own containers for something, again and again, in
// exactly one way. Names and meaning are Kubernetes' (Pod v1, Probe).
type Probe struct {
	// Exec succeeds when the command exits with 0.
	Exec *ExecAction `json:"exec,omitempty"`
	// HTTPGet succeeds with a status of 200 to 399.
	HTTPGet *HTTPGetAction `json:"httpGet,omitempty"`
	// TCPSocket succeeds when a connection can be made.
	TCPSocket *TCPSocketAction `json:"tcpSocket,omitempty"`
	// GRPC succeeds when the service says that it is SERVING
	// (grpc.health.v1.Health/Check).
	GRPC *GRPCAction `json:"grpc,omitempty"`

	// InitialDelaySeconds is how long after the container's start the first one
	// comes. Default: 0.
	InitialDelaySeconds int64 `json:"initialDelaySeconds,omitempty"`
	// TimeoutSeconds is how long one may take; it has failed then. 0 is the
	// default: DefaultProbeTimeout.
	TimeoutSeconds int64 `json:"timeoutSeconds,omitempty"`
	// PeriodSeconds is from the beginning of one to that of the next. 0 is the
	// default: DefaultProbePeriod.
	PeriodSeconds int64 `json:"periodSeconds,omitempty"`
	// SuccessThreshold is how many successes in a row count, after a failure; 1 for
	// a livenessProbe and a startupProbe. 0 is the default:
	// DefaultProbeSuccessThreshold.
	SuccessThreshold int64 `json:"successThreshold,omitempty"`
	// FailureThreshold is how many failures in a row count. 0 is the default:
	// DefaultProbeFailureThreshold.
	FailureThreshold int64 `json:"failureThreshold,omitempty"`
	// TerminationGracePeriodSeconds is the grace period of a container that is
	// stopped because the probe failed, above 0. Not of a readinessProbe. Default:
	// the pod's.
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`
}

// Lifecycle is what is done at the start and before the end of a container.
type Lifecycle struct {
	// PostStart begins when the container runs, beside its command. A container is
	// not ready, nor probed, before it has ended; if it fails, the container is
	// stopped as by a failed livenessProbe.
	PostStart *LifecycleHandler `json:"postStart,omitempty"`
	// PreStop comes before the stop signal, within the grace period, and not where
	// that is 0. The signal follows also if it fails.
	PreStop *LifecycleHandler `json:"preStop,omitempty"`
}

// LifecycleHandler does one thing.
type LifecycleHandler struct {
	// Exec fails if the command does not exit with 0.
	Exec *ExecAction `json:"exec,omitempty"`
	// HTTPGet fails without an answer; its status does not matter.
	HTTPGet *HTTPGetAction `json:"httpGet,omitempty"`
	// Sleep waits.
	Sleep *SleepAction `json:"sleep,omitempty"`
}

// ExecAction executes a command in the container, as "podrt pod exec" does.
type ExecAction struct {
	// Command is the program and its arguments; no shell reads it.
	Command []string `json:"command"`
}

// HTTPGetAction is a GET request to the container, HTTP/1.1. Redirects are followed
// on the same host only.
type HTTPGetAction struct {
	// Path is the path, perhaps with a query. Default: "/".
	Path string `json:"path,omitempty"`
	// Port is 1 to 65535.
	Port uint16 `json:"port"`
	// Host is the address to connect to, from within the pod's network: an IP
	// address, or "localhost". Default: the pod's first address; 127.0.0.1 if it
	// has none, or the host's network.
	Host string `json:"host,omitempty"`
	// Scheme is "HTTP" or "HTTPS", whose certificate is not verified. Default: HTTP.
	Scheme string `json:"scheme,omitempty"`
	// HTTPHeaders are sent along; "Host" replaces that of the address.
	HTTPHeaders []HTTPHeader `json:"httpHeaders,omitempty"`
}

// HTTPHeader is a header of a request.
type HTTPHeader struct {
	// Name is a token (RFC 9110, 5.1).
	Name string `json:"name"`
	// Value has no control characters.
	Value string `json:"value"`
}

// TCPSocketAction is a TCP connection that is closed as soon as it is made.
type TCPSocketAction struct {
	// Port is 1 to 65535.
	Port uint16 `json:"port"`
	// Host is as HTTPGetAction's.
	Host string `json:"host,omitempty"`
}

// GRPCAction is a call of grpc.health.v1.Health/Check without TLS.
type GRPCAction struct {
	// Port is 1 to 65535.
	Port uint16 `json:"port"`
	// Service is whom to ask for. Default: "", the server as a whole.
	Service string `json:"service,omitempty"`
}

// SleepAction waits.
type SleepAction struct {
	// Seconds is how long, 0 or more.
	Seconds int64 `json:"seconds"`
}

// Schemes of HTTPGetAction.
const (
	SchemeHTTP  = "HTTP"
	SchemeHTTPS = "HTTPS"
)

func (c *PodContainer) setDefaults() {
	for _, p := range c.probes() {
		p.probe.setDefaults()
	}
	for _, h := range c.handlers() {
		h.handler.HTTPGet.setDefaults()
	}
}

func (p *Probe) setDefaults() {
	set := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
	}
	set(&p.TimeoutSeconds, DefaultProbeTimeout)
	set(&p.PeriodSeconds, DefaultProbePeriod)
	set(&p.SuccessThreshold, DefaultProbeSuccessThreshold)
	set(&p.FailureThreshold, DefaultProbeFailureThreshold)
	p.HTTPGet.setDefaults()
}

func (h *HTTPGetAction) setDefaults() {
	if h == nil {
		return
	}
	h.Path = orDefault(h.Path, "/")
	h.Scheme = orDefault(h.Scheme, SchemeHTTP)
}

// ProbeKind is what a probe is asked for.
type ProbeKind string

// Kinds of probes. As long as the startup probe has not succeeded the other two
// wait.
const (
	ProbeLiveness  ProbeKind = "liveness"  // a container that fails is stopped; its restart policy says what comes then
	ProbeReadiness ProbeKind = "readiness" // one that fails is not ready
	ProbeStartup   ProbeKind = "startup"   // as liveness, until it has succeeded once
)

type kindOfProbe struct {
	kind  ProbeKind
	probe *Probe
}

// probes are those that the container has.
func (c *PodContainer) probes() []kindOfProbe {
	var all []kindOfProbe
	for _, p := range []kindOfProbe{
		{ProbeStartup, c.StartupProbe},
		{ProbeLiveness, c.LivenessProbe},
		{ProbeReadiness, c.ReadinessProbe},
	} {
		if p.probe != nil {
			all = append(all, p)
		}
	}
	return all
}

type namedHandler struct {
	name    string
	handler *LifecycleHandler
}

func (c *PodContainer) handlers() []namedHandler {
	var all []namedHandler
	if l := c.Lifecycle; l != nil && l.PostStart != nil {
		all = append(all, namedHandler{"postStart", l.PostStart})
	}
	if l := c.Lifecycle; l != nil && l.PreStop != nil {
		all = append(all, namedHandler{"preStop", l.PreStop})
	}
	return all
}

// watched reports whether the pod's monitor has more to do for a container than to
// wait for its end.
func (c *PodContainer) watched() bool {
	return len(c.probes()) > 0 || c.Lifecycle != nil && c.Lifecycle.PostStart != nil
}

// lives reports whether a container has probes, or handlers.
func (s *PodSpec) lives() bool {
	for _, c := range s.Own() {
		if c.watched() || len(c.handlers()) > 0 {
			return true
		}
	}
	return false
}
