package sandbox

import "strings"

// What the JSON schema says of an input.
type schemaVerdict int

const (
	schemaRefuses schemaVerdict = iota // as ParsePodSpec does
	schemaAccepts                      // cannot be said in a schema
	schemaCannot                       // not a JSON document with unique keys
)

// badPodSpec is an input that ParsePodSpec refuses.
type badPodSpec struct {
	name   string
	in     string
	want   string // the whole message, without the file's name before each line
	schema schemaVerdict
}

// podFields are the fields of pod.json.
const podFields = "podVersion, metadata, hostname, domainname, share, host, userNamespace, timeOffsets, sysctls, network, dns, hostAliases, resources, " +
	"cgroupParent, shmSize, volumes, volumeMounts, restartPolicy, restartBackOff, terminationGracePeriodSeconds, initContainers, containers"

// podWith is a good pod.json with further members.
func podWith(members string) string {
	return `{"podVersion": "0.1.0", "metadata": {"name": "web"}, ` + members + `}`
}

func badPodSpecs() []badPodSpec {
	return append(badShapes(), badValues()...)
}

// badShapes are inputs wrong as documents, in names and in namespaces.
func badShapes() []badPodSpec {
	return []badPodSpec{
		// Not a document.
		{
			"empty",
			``,
			`line 1, column 1: not JSON: unexpected end of JSON input`, schemaCannot,
		},
		{
			"not JSON",
			`podVersion: 0.1.0`,
			`line 1, column 1: not JSON: invalid character 'p' looking for beginning of value`, schemaCannot,
		},
		{
			"cut off",
			"{\n  \"podVersion\": \"0.1.0\",\n",
			`line 3, column 1: not JSON: unexpected end of JSON input`, schemaCannot,
		},
		{
			"trailing comma",
			"{\"podVersion\": \"0.1.0\",\n }",
			`line 2, column 2: not JSON: invalid character '}' looking for beginning of object key string`, schemaCannot,
		},
		{
			"trailing data",
			podWith(`"share": []`) + ` {}`,
			`line 1, column 67: not JSON: invalid character '{' after top-level value`, schemaCannot,
		},
		{
			"invalid UTF-8",
			podWith("\n\"hostname\": \"a\xff\""),
			`line 2, column 15: byte 0xff is not valid UTF-8`, schemaCannot,
		},
		{
			"byte order mark",
			"\ufeff{}",
			`line 1, column 1: not JSON: invalid character 'ï' looking for beginning of value`, schemaCannot,
		},
		{
			"too large",
			`{"podVersion": "` + strings.Repeat("0", maxPodJSON) + `"}`,
			`1048594 bytes: must be at most 1048576`, schemaCannot,
		},
		{
			"too deep",
			strings.Repeat(`{"a":`, 65) + `1` + strings.Repeat(`}`, 65),
			`line 1, column 321: nested deeper than 64`, schemaCannot,
		},
		{
			"array",
			`[]`,
			`[]: must be an object`, schemaRefuses,
		},
		{
			"null",
			`null`,
			`null: must be an object`, schemaRefuses,
		},
		{
			"nothing required",
			`{}`,
			`podVersion: required
metadata: required`, schemaRefuses,
		},

		// Shape.
		{
			"unknown field",
			podWith(`"hostnam": "x"`),
			`hostnam: "x": unknown field; known here: ` + podFields, schemaRefuses,
		},
		{
			"unknown field deep",
			`{"podVersion": "0.1.0", "metadata": {"name": "web"}, "volumes": [{"name": "data", "emptyDir": {}}],
			"containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "data", "mountPth": "/data"}]}]}`,
			`containers[1].volumeMounts[0].mountPth: "/data": unknown field; known here: name, mountPath, subPath, readOnly, recursiveReadOnly, mountPropagation
containers[1].volumeMounts[0].mountPath: required`, schemaRefuses,
		},
		{
			"unknown field with an object",
			podWith(`"resorces": {"memory": {"limit": 1}, "text": "` + strings.Repeat("ä", 100) + `"}`),
			`resorces: {"memory":{"limit":1},"text":"äääääääääääääääääääääääääääääääää…: unknown field; known here: ` + podFields, schemaRefuses,
		},
		{
			"unknown field in resources",
			podWith(`"resources": {"memory": {"limt": 1}, "blockIO": {"weightDevice": [{"major": 8, "minor": 0, "wight": 5}]}}`),
			`resources.memory.limt: 1: unknown field; known here: limit, reservation, swap, kernel, kernelTCP, swappiness, disableOOMKiller, useHierarchy, checkBeforeUpdate
resources.blockIO.weightDevice[0].wight: 5: unknown field; known here: major, minor, weight, leafWeight
resources.blockIO.weightDevice[0].weight: 0 is not within 10 to 1000`, schemaRefuses,
		},
		{
			"letter case",
			podWith(`"Hostname": "x"`),
			`Hostname: "x": unknown field; known here: ` + podFields, schemaRefuses,
		},
		{
			"odd keys",
			podWith(`"a b": 1, "": 2, "\u001b[31m": "\u001b[31m", "c": "\u009b1m", "d": [ "\u009b1m" ]`),
			`["a b"]: 1: unknown field; known here: ` + podFields + `
[""]: 2: unknown field
["\x1b[31m"]: "\x1b[31m": unknown field
c: "\u009b1m": unknown field
d: ["\u009b1m"]: unknown field`, schemaRefuses,
		},
		{
			"wrong type",
			podWith(`"shmSize": "64m"`),
			`shmSize: "64m": must be an integer of 64 bits`, schemaRefuses,
		},
		{
			"wrong types",
			podWith(`"hostname": 5, "share": "net", "network": "host", "containers": [{"name": "a", "overlay": "yes"}, [], {"name": true}], "sysctls": {"net.core.somaxconn": 1024}`),
			`hostname: 5: must be a string
share: "net": must be an array
network: "host": must be an object
containers[0].overlay: "yes": must be true or false
containers[1]: []: must be an object
containers[2].name: true: must be a string
sysctls["net.core.somaxconn"]: 1024: must be a string`, schemaRefuses,
		},
		{
			"null field",
			podWith(`"hostname": null, "resources": {"memory": null}`),
			`hostname: null: must be a string
resources.memory: null: must be an object`, schemaRefuses,
		},
		{
			"fraction",
			podWith(`"shmSize": 0.5, "terminationGracePeriodSeconds": 1e400`),
			`shmSize: 0.5: must be an integer of 64 bits
terminationGracePeriodSeconds: 1e400: must be an integer of 64 bits`, schemaRefuses,
		},
		{
			"integer with a fraction of zero",
			podWith(`"shmSize": 1.0`),
			`shmSize: 1.0: must be an integer of 64 bits`, schemaAccepts,
		},
		{
			"out of range",
			podWith(`"shmSize": 9223372036854775808, "timeOffsets": {"boottime": {"nanosecs": -1}}, "resources": {"blockIO": {"weight": 65536}, "cpu": {"shares": -1}}`),
			`shmSize: 9223372036854775808: must be an integer of 64 bits
timeOffsets.boottime.nanosecs: -1: must be an integer from 0 to 4294967295
resources.blockIO.weight: 65536: must be an integer from 0 to 65535
resources.cpu.shares: -1: must be an integer of 64 bits, not negative`, schemaRefuses,
		},
		{
			"duplicate field",
			podWith(`"hostname": "a", "share": [], "hostname": "b", "sysctls": {"net.core.somaxconn": "1", "net.core.somaxconn": "2"}, "typo": 1, "typo": 2`),
			`hostname: "b": duplicate key
sysctls["net.core.somaxconn"]: "2": duplicate key
typo: 1: unknown field; known here: ` + podFields, schemaCannot,
		},
		{
			"NUL",
			podWith(`"cgroupParent": "/a\u0000b", "sysctls": {"net.a\u0000": "1"}`),
			`cgroupParent: "/a\x00b": must not contain a NUL byte
sysctls["net.a\x00"]: "net.a\x00": must not contain a NUL byte`, schemaAccepts,
		},
		{
			"missing fields",
			podWith(`"containers": [{}], "userNamespace": {"uidMappings": [{"size": 5}]}, "hostAliases": [{}], "volumes": [{"name": "h", "hostPath": {}}]`),
			`containers[0].name: required
userNamespace.uidMappings[0].containerID: required
userNamespace.uidMappings[0].hostID: required
userNamespace.gidMappings: required
hostAliases[0].ip: required
hostAliases[0].hostnames: required
volumes[0].hostPath.path: required`, schemaRefuses,
		},
		{
			"many",
			podWith(`"share": [` + strings.Repeat(`1, `, 40) + `1]`),
			`share[0]: 1: must be a string
share[1]: 1: must be a string
share[2]: 1: must be a string
share[3]: 1: must be a string
share[4]: 1: must be a string
share[5]: 1: must be a string
share[6]: 1: must be a string
share[7]: 1: must be a string
share[8]: 1: must be a string
share[9]: 1: must be a string
share[10]: 1: must be a string
share[11]: 1: must be a string
share[12]: 1: must be a string
share[13]: 1: must be a string
share[14]: 1: must be a string
share[15]: 1: must be a string
share[16]: 1: must be a string
share[17]: 1: must be a string
share[18]: 1: must be a string
share[19]: 1: must be a string
share[20]: 1: must be a string
share[21]: 1: must be a string
share[22]: 1: must be a string
share[23]: 1: must be a string
share[24]: 1: must be a string
share[25]: 1: must be a string
share[26]: 1: must be a string
share[27]: 1: must be a string
share[28]: 1: must be a string
share[29]: 1: must be a string
share[30]: 1: must be a string
share[31]: 1: must be a string
9 more errors`, schemaRefuses,
		},

		// Version and names.
		{
			"version",
			`{"podVersion": "0.2.0", "metadata": {"name": "web"}}`,
			`podVersion: "0.2.0": not supported; this podrt reads 0.1.0`, schemaRefuses,
		},
		{
			"name",
			`{"podVersion": "0.1.0", "metadata": {"name": "a/b"}}`,
			`metadata.name: "a/b": must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}`, schemaRefuses,
		},
		{
			"empty name",
			`{"podVersion": "0.1.0", "metadata": {"name": ""}}`,
			`metadata.name: "": must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}`, schemaRefuses,
		},
		{
			"name dot",
			`{"podVersion": "0.1.0", "metadata": {"name": ".."}}`,
			`metadata.name: "..": must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}`, schemaRefuses,
		},
		{
			"name length",
			`{"podVersion": "0.1.0", "metadata": {"name": "` + strings.Repeat("a", 64) + `"}}`,
			`metadata.name: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}`, schemaRefuses,
		},
		{
			"uid",
			`{"podVersion": "0.1.0", "metadata": {"name": "web", "uid": "-1"}}`,
			`metadata.uid: "-1": must match [a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}`, schemaRefuses,
		},
		{
			"label",
			`{"podVersion": "0.1.0", "metadata": {"name": "web", "labels": {"a=b": "c"}, "annotations": {"": "x"}}}`,
			`metadata.labels: key "a=b": must be 1 to 317 bytes of printable ASCII without space and "="
metadata.annotations: key "": must be 1 to 317 bytes of printable ASCII without space and "="`, schemaRefuses,
		},
		{
			"hostname",
			podWith(`"hostname": "a..b", "domainname": "-"`),
			`hostname: "a..b" has an empty label
domainname: "-" has a label that begins or ends with "-"`, schemaRefuses,
		},
		{
			"hostname length",
			podWith(`"hostname": "` + strings.Repeat("abcdefghi.", 6) + `abcde"`),
			`hostname: "abcdefghi.abcdefghi.abcdefghi.abcdefghi.abcdefghi.abcdefghi.abcde" is longer than 64 bytes`, schemaRefuses,
		},

		// Namespaces.
		{
			"share",
			podWith(`"share": ["net", "mnt"]`),
			`share[1]: "mnt": must be one of net, ipc, uts, pid, cgroup, time, user`, schemaRefuses,
		},
		{
			"share twice",
			podWith(`"share": ["net", "net"]`),
			`share[1]: "net": listed twice`, schemaRefuses,
		},
		{
			"share user",
			podWith(`"share": ["net", "user"]`),
			`share[1]: "user": needs userNamespace`, schemaRefuses,
		},
		{
			"share and host",
			podWith(`"share": ["net", "pid"], "host": ["pid"]`),
			`host[0]: "pid": is in share, too; the containers use the pod's namespace or the host's, not both`, schemaRefuses,
		},
		{
			"host net",
			podWith(`"host": ["net"]`),
			`host[0]: "net": the host's network is network.mode "host"`, schemaRefuses,
		},
		{
			"host kind",
			podWith(`"host": ["cgroup"]`),
			`host[0]: "cgroup": must be one of ipc, pid, uts`, schemaRefuses,
		},
		{
			"too many kinds",
			podWith(`"share": ["net", "ipc", "uts", "pid", "cgroup", "time", "net", "net"]`),
			`share: 8 entries: there are 7 kinds: net, ipc, uts, pid, cgroup, time, user`, schemaRefuses,
		},
		{
			"host uts with a hostname",
			podWith(`"host": ["uts"], "hostname": "web", "domainname": "d"`),
			`hostname: "web": cannot be set with "uts" in host: it would be the host's
domainname: "d": cannot be set with "uts" in host: it would be the host's`, schemaRefuses,
		},
		{
			"time offsets without time",
			podWith(`"timeOffsets": {"boottime": {"secs": 1}}`),
			`timeOffsets: needs "time" in share`, schemaRefuses,
		},
		{
			"time offsets",
			podWith(`"share": ["time"], "timeOffsets": {"realtime": {}, "monotonic": {"nanosecs": 1000000000}}`),
			`timeOffsets.monotonic.nanosecs: 1000000000: must be at most 999999999
timeOffsets.realtime: unknown clock; must be monotonic or boottime`, schemaRefuses,
		},
		{
			"sysctl",
			podWith(`"sysctls": {"kernel.core_pattern": "|/bin/sh"}`),
			`sysctls["kernel.core_pattern"]: does not belong to a namespace of a pod (net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* do)`, schemaAccepts,
		},
		{
			"sysctl of the host's network",
			podWith(`"network": {"mode": "host"}, "sysctls": {"net.core.somaxconn": "1"}`),
			`sysctls["net.core.somaxconn"]: "1": the pod has no network namespace of its own: network.mode is "host"`, schemaAccepts,
		},
		{
			"sysctl of another pod's network",
			podWith(`"network": {"mode": "container:db"}, "sysctls": {"net.core.somaxconn": "1"}`),
			`sysctls["net.core.somaxconn"]: "1": the pod has no network namespace of its own: network.mode is "container:db"`, schemaAccepts,
		},
		{
			"sysctl of no shared network",
			podWith(`"share": [], "sysctls": {"net.core.somaxconn": "1", "kernel.sem": "1", "net..x": "", "net.x": ""}`),
			`sysctls["kernel.sem"]: "1": the pod has no IPC namespace of its own: "ipc" is not in share
sysctls["net..x"]: empty component
sysctls["net.core.somaxconn"]: "1": the pod has no network namespace of its own: "net" is not in share
sysctls["net.x"]: empty value`, schemaAccepts,
		},
		{
			"sysctl twice",
			podWith(`"sysctls": {"net.core.somaxconn": "1", "net/core/somaxconn": "2"}`),
			`sysctls: sysctl "net/core/somaxconn" is also given as "net.core.somaxconn"`, schemaAccepts,
		},
		{
			"sysctl of the host's ipc",
			podWith(`"host": ["ipc"], "sysctls": {"kernel.shmmax": "1"}`),
			`sysctls["kernel.shmmax"]: "1": the pod has no IPC namespace of its own: "ipc" is in host`, schemaAccepts,
		},
	}
}
