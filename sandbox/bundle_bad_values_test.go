package sandbox

import "strings"

func idMapWith(uidMappings string) string {
	return podWith(`"userNamespace": {"uidMappings": [` + uidMappings + `], "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}]}`)
}

func volumeWith(source string) string {
	return podWith(`"volumes": [{"name": "data", ` + source + `}]`)
}

func mountWith(member string) string {
	return podWith(`"volumes": [{"name": "data", "emptyDir": {}}], "containers": [{"name": "app", "volumeMounts": [` + member + `]}]`)
}

func probeWith(members string) string {
	return podWith(`"containers": [{"name": "app", "livenessProbe": {` + members + `}}]`)
}

// badValues are inputs wrong in user namespace, network, resources, volumes and
// containers.
func badValues() []badPodSpec {
	return []badPodSpec{
		// User namespace.
		{
			"no mapping",
			idMapWith(``),
			`userNamespace.uidMappings: must have an entry`, schemaRefuses,
		},
		{
			"mapping of no root",
			idMapWith(`{"containerID": 1, "hostID": 1000, "size": 1}`),
			`userNamespace.uidMappings: containerID 0 must be mapped: the pod's namespaces are set up by its root`, schemaRefuses,
		},
		{
			"mapping of nothing",
			idMapWith(`{"containerID": 0, "hostID": 1000, "size": 0}`),
			`userNamespace.uidMappings[0].size: 0: must be greater than 0`, schemaRefuses,
		},
		{
			"mapping beyond the end",
			idMapWith(`{"containerID": 0, "hostID": 4294967295, "size": 1}, {"containerID": 1, "hostID": 1, "size": 4294967295}`),
			`userNamespace.uidMappings[0].hostID: 4294967295: range of 1 IDs ends beyond 4294967294
userNamespace.uidMappings[1].containerID: 1: range of 4294967295 IDs ends beyond 4294967294
userNamespace.uidMappings[1].hostID: 1: range overlaps that of entry 0`, schemaAccepts,
		},
		{
			"mapping overlap",
			idMapWith(`{"containerID": 0, "hostID": 1000, "size": 10}, {"containerID": 9, "hostID": 2000, "size": 1}`),
			`userNamespace.uidMappings[1].containerID: 9: range overlaps that of entry 0`, schemaAccepts,
		},
		{
			"mapping overlap on the host",
			idMapWith(`{"containerID": 5, "hostID": 1000, "size": 10}, {"containerID": 0, "hostID": 999, "size": 2}`),
			`userNamespace.uidMappings[1].hostID: 999: range overlaps that of entry 0`, schemaAccepts,
		},
		{
			"mappings",
			idMapWith(strings.Repeat(`{"containerID": 0, "hostID": 0, "size": 1}, `, 340) + `{"containerID": 0, "hostID": 0, "size": 1}`),
			`userNamespace.uidMappings: 341 entries: must be at most 340`, schemaRefuses,
		},

		// Images.
		{
			"images that are no digests",
			podWith(`"initContainers": [{"name": "a", "image": "busybox"}], "containers": [{"name": "b", "image": "sha256:12"},
				{"name": "c", "image": "sha256:` + strings.Repeat("A", 64) + `"}, {"name": "d", "image": "sha512:` + strings.Repeat("a", 128) + `"}]`),
			`initContainers[0].image: "busybox": must be the digest of an image: sha256: and 64 hexadecimal digits, in lower case
containers[0].image: "sha256:12": must be the digest of an image: sha256: and 64 hexadecimal digits, in lower case
containers[1].image: "sha256:` + strings.Repeat("A", 64) + `": must be the digest of an image: sha256: and 64 hexadecimal digits, in lower case
containers[2].image: "sha512:` + strings.Repeat("a", 89) + `…": must be the digest of an image: sha256: and 64 hexadecimal digits, in lower case`, schemaRefuses,
		},
		{
			"image with an overlay",
			podWith(`"containers": [{"name": "a", "overlay": true, "image": "sha256:` + strings.Repeat("a", 64) + `"}]`),
			`containers[0].overlay: true: must not be set: with an image there is one anyway`, schemaAccepts,
		},
		// Network.
		{
			"network mode",
			podWith(`"network": {"mode": "Host"}`),
			`network.mode: "Host" is not supported: use none, host, container:POD, ns:PATH, bridge or the name of a network`, schemaAccepts,
		},
		{
			"network of no name",
			podWith(`"network": {"mode": "a/b"}`),
			`network.mode: "a/b" is not supported: use none, host, container:POD, ns:PATH, bridge or the name of a network`, schemaRefuses,
		},
		{
			"network namespace by a relative path",
			podWith(`"network": {"mode": "ns:run/netns/a"}`),
			`network.mode: "ns:run/netns/a" is not a clean absolute path: want ns:PATH`, schemaRefuses,
		},
		{
			"network namespace, not shared",
			podWith(`"network": {"mode": "ns:/run/netns/a"}, "share": ["ipc"]`),
			`network.mode: "ns:/run/netns/a": needs "net" in share`, schemaRefuses,
		},
		{
			"network without its namespace",
			podWith(`"network": {"mode": "bridge"}, "share": ["ipc"]`),
			`network.mode: "bridge": needs "net" in share`, schemaRefuses,
		},
		{
			"attachment to nothing",
			podWith(`"network": {"mode": "none", "ips": ["10.0.0.1"], "mac": "02:00:00:00:00:01", "ports": [{"containerPort": 80}], "bandwidth": {"ingress": 1000}}`),
			`network.ips: needs a network; network.mode is "none"
network.mac: needs a network; network.mode is "none"
network.ports: needs a network; network.mode is "none"
network.bandwidth: needs a network; network.mode is "none"`, schemaRefuses,
		},
		{
			"addresses",
			podWith(`"network": {"ips": ["10.0.0.256"]}`),
			`network.ips[0]: "10.0.0.256": not an IP address`, schemaAccepts,
		},
		{
			"addresses of one family",
			podWith(`"network": {"ips": ["fd00::1", "fd00::2"]}`),
			`network.ips[1]: "fd00::2": second address of its family`, schemaAccepts,
		},
		{
			"mac",
			podWith(`"network": {"mac": "02:00:00:00:00"}`),
			`network.mac: "02:00:00:00:00": not a MAC address of six bytes`, schemaRefuses,
		},
		{
			"multicast mac",
			podWith(`"network": {"mac": "01:00:00:00:00:01"}`),
			`network.mac: "01:00:00:00:00:01": must be unicast`, schemaAccepts,
		},
		{
			"ports",
			podWith(`"network": {"ports": [{"containerPort": 0}, {"containerPort": 80, "protocol": "icmp"}, {"containerPort": 80, "hostIP": "localhost"}]}`),
			`network.ports[0].containerPort: 0: must be 1 to 65535
network.ports[1].protocol: "icmp": must be tcp, udp or sctp
network.ports[2].hostIP: "localhost": not an IP address`, schemaRefuses,
		},
		{
			"bandwidth",
			podWith(`"network": {"bandwidth": {"ingress": 999, "egress": 1000000000000001}}`),
			`network.bandwidth.ingress: 999: must be 1000 to 1000000000000000 bits per second
network.bandwidth.egress: 1000000000000001: must be 1000 to 1000000000000000 bits per second`, schemaRefuses,
		},
		{
			"network of no pod",
			podWith(`"network": {"mode": "container:"}`),
			`network.mode: "container:" does not name a pod: want container:POD`, schemaRefuses,
		},
		{
			"network not shared",
			podWith(`"network": {"mode": "host"}, "share": ["ipc"]`),
			`network.mode: "host": needs "net" in share`, schemaRefuses,
		},
		{
			"dns servers",
			podWith(`"dns": {"servers": ["127.0.0.53", "dns.example.com"]}`),
			`dns.servers[1]: "dns.example.com" is not an IP address`, schemaAccepts,
		},
		{
			"dns",
			podWith(`"dns": {"servers": ["::1", "::1", "::1", "::1"], "searches": ["ex ample"], "options": ["ndots:"]}`),
			`dns.servers: has 4 entries: resolvers use 3 at most
dns.searches[0]: "ex ample" contains ' '
dns.options[0]: "ndots:" is not NAME or NAME:VALUE`, schemaRefuses,
		},
		{
			"host aliases",
			podWith(`"hostAliases": [{"ip": "::1", "hostnames": ["a"]}, {"ip": "1.2.3", "hostnames": ["a"]}, {"ip": "::1", "hostnames": []}, {"ip": "::1", "hostnames": ["a", "b\nc"]}]`),
			`hostAliases[1].ip: "1.2.3" is not an IP address
hostAliases[2].hostnames: is empty
hostAliases[3].hostnames[1]: "b\nc" contains '\n'`, schemaRefuses,
		},

		// Resources and storage.
		{
			"resources",
			podWith(`"resources": {"devices": [{"allow": false}], "memory": {"limit": -2, "swappiness": 60}, "cpu": {"cpus": "0-"}}`),
			`resources.devices: device rules are each container's: linux.resources.devices in its config.json
resources.memory.limit: -2 is negative (-1 is unlimited)
resources.memory.swappiness: cgroup v2 has no swappiness
resources.cpu.cpus: "0-": "" is not a number`, schemaRefuses,
		},
		{
			"unified",
			podWith(`"resources": {"unified": {"../x: y": "1", "memory.max": ""}}`),
			`resources.unified["../x: y"]: is not a file name
resources.unified["memory.max"]: "" is not a value`, schemaAccepts,
		},
		{
			"cgroup parent",
			podWith(`"cgroupParent": "/a/../../b"`),
			`cgroupParent: "/a/../../b": must not contain ".."`, schemaRefuses,
		},
		{
			"cgroup parent not clean",
			podWith(`"cgroupParent": "a//b/"`),
			`cgroupParent: "a//b/": must be clean: "a/b"`, schemaRefuses,
		},
		{
			"shm size",
			podWith(`"shmSize": -1`),
			`shmSize: -1: must be greater than 0`, schemaRefuses,
		},
		{
			"shm size zero",
			podWith(`"shmSize": 0`),
			`shmSize: 0: must be greater than 0`, schemaRefuses,
		},
		{
			"volume name",
			podWith(`"volumes": [{"name": "a.b", "emptyDir": {}}, {"name": "c", "emptyDir": {}}, {"name": "c", "emptyDir": {}}]`),
			`volumes[0].name: "a.b": must match [a-zA-Z0-9][a-zA-Z0-9_-]{0,62}
volumes[2].name: "c": name of an earlier volume`, schemaRefuses,
		},
		{
			"volume name twice",
			podWith(`"volumes": [{"name": "c", "emptyDir": {}}, {"name": "c", "emptyDir": {}}]`),
			`volumes[1].name: "c": name of an earlier volume`, schemaAccepts,
		},
		{
			"volume without source",
			podWith(`"volumes": [{"name": "a"}]`),
			`volumes[0]: must have a source: emptyDir, hostPath or bundlePath`, schemaRefuses,
		},
		{
			"volume with two sources",
			volumeWith(`"emptyDir": {}, "hostPath": {"path": "/a"}`),
			`volumes[0]: must have one source, not emptyDir and hostPath`, schemaRefuses,
		},
		{
			"medium",
			volumeWith(`"emptyDir": {"medium": "HugePages"}`),
			`volumes[0].emptyDir.medium: "HugePages": must be "" or "Memory"`, schemaRefuses,
		},
		{
			"size limit",
			volumeWith(`"emptyDir": {"medium": "Memory", "sizeLimit": -1}`),
			`volumes[0].emptyDir.sizeLimit: -1: must not be negative`, schemaRefuses,
		},
		{
			"size limit on disk",
			volumeWith(`"emptyDir": {"sizeLimit": 1}`),
			`volumes[0].emptyDir.sizeLimit: 1: needs medium "Memory"; on disk nothing would enforce it`, schemaRefuses,
		},
		{
			"host path",
			volumeWith(`"hostPath": {"path": "etc"}`),
			`volumes[0].hostPath.path: "etc": must be an absolute path`, schemaRefuses,
		},
		{
			"host path up",
			volumeWith(`"hostPath": {"path": "/var/../etc"}`),
			`volumes[0].hostPath.path: "/var/../etc": must not contain ".."`, schemaRefuses,
		},
		{
			"host path not clean",
			volumeWith(`"hostPath": {"path": "/var//log/", "type": "Dir"}`),
			`volumes[0].hostPath.path: "/var//log/": must be clean: "/var/log"
volumes[0].hostPath.type: "Dir": must be empty or one of Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice`, schemaRefuses,
		},

		// Life and containers.
		{
			"restart policy",
			podWith(`"restartPolicy": "never"`),
			`restartPolicy: "never": must be Always, OnFailure or Never`, schemaRefuses,
		},
		{
			"back-off of nothing",
			podWith(`"restartBackOff": {}`),
			`restartBackOff: nothing is started again with restartPolicy "Never"`, schemaAccepts,
		},
		{
			"back-off below 0",
			podWith(`"restartPolicy": "Always", "restartBackOff": {"initialSeconds": -1}`),
			`restartBackOff.initialSeconds: -1: must be 1 to 2147483647`, schemaRefuses,
		},
		{
			"back-off that shrinks",
			podWith(`"restartPolicy": "OnFailure", "restartBackOff": {"maxSeconds": 9}`),
			`restartBackOff.maxSeconds: 9: must be 10, which initialSeconds is, to 2147483647`, schemaAccepts,
		},
		{
			"back-off unknown",
			podWith(`"restartPolicy": "OnFailure", "restartBackOff": {"seconds": 9}`),
			`restartBackOff.seconds: 9: unknown field; known here: initialSeconds, maxSeconds`, schemaRefuses,
		},
		{
			"grace",
			podWith(`"terminationGracePeriodSeconds": -1`),
			`terminationGracePeriodSeconds: -1: must be 0 to 2147483647`, schemaRefuses,
		},
		{
			"container name",
			podWith(`"containers": [{"name": "a"}, {"name": "a/b"}, {"name": "_init"}]`),
			`containers[1].name: "a/b": must match [a-zA-Z0-9][a-zA-Z0-9_-]{0,62}
containers[2].name: "_init": must match [a-zA-Z0-9][a-zA-Z0-9_-]{0,62}`, schemaRefuses,
		},
		{
			"container name twice",
			podWith(`"containers": [{"name": "a"}, {"name": "b"}, {"name": "a"}]`),
			`containers[2].name: "a": name of an earlier container`, schemaAccepts,
		},
		{
			"name of an init container",
			podWith(`"initContainers": [{"name": "a"}, {"name": ""}], "containers": [{"name": "a"}]`),
			`initContainers[1].name: "": must match [a-zA-Z0-9][a-zA-Z0-9_-]{0,62}
containers[0].name: "a": name of an earlier container`, schemaRefuses,
		},
		{
			"init containers before nothing",
			podWith(`"initContainers": [{"name": "a"}]`),
			`initContainers: containers has none that they would run before`, schemaRefuses,
		},
		{
			"a container's restart policy",
			podWith(`"initContainers": [{"name": "a", "restartPolicy": "Sidecar"}], "containers": [{"name": "b", "restartPolicy": "no"}]`),
			`initContainers[0].restartPolicy: "Sidecar": must be Always, OnFailure or Never
containers[0].restartPolicy: "no": must be Always, OnFailure or Never`, schemaRefuses,
		},
		{
			"mount of an init container",
			podWith(`"initContainers": [{"name": "a", "volumeMounts": [{"name": "data", "mountPath": "/d"}]}], "containers": [{"name": "b"}]`),
			`initContainers[0].volumeMounts[0].name: "data": the pod has no such volume`, schemaAccepts,
		},
		{
			"the pod's mount",
			podWith(`"volumeMounts": [{"name": "data", "mountPath": "/d/"}]`),
			`volumeMounts[0].name: "data": the pod has no such volume
volumeMounts[0].mountPath: "/d/": must be clean: "/d"`, schemaRefuses,
		},
		{
			"probe of nothing",
			probeWith(``),
			`containers[0].livenessProbe: must have one of exec, httpGet, tcpSocket or grpc`, schemaRefuses,
		},
		{
			"probe in two ways",
			probeWith(`"tcpSocket": {"port": 80}, "exec": {"command": ["true"]}`),
			`containers[0].livenessProbe: must have one of exec, httpGet, tcpSocket or grpc, not 2`, schemaRefuses,
		},
		{
			"probe of an unknown kind",
			probeWith(`"udpSocket": {"port": 80}`),
			`containers[0].livenessProbe.udpSocket: {"port":80}: unknown field; known here: exec, httpGet, tcpSocket, grpc, initialDelaySeconds, timeoutSeconds, periodSeconds, successThreshold, failureThreshold, terminationGracePeriodSeconds
containers[0].livenessProbe: must have one of exec, httpGet, tcpSocket or grpc`, schemaRefuses,
		},
		{
			"numbers of a probe",
			probeWith(`"grpc": {"port": 0}, "initialDelaySeconds": -1, "timeoutSeconds": -1, "periodSeconds": -1, "successThreshold": -1, "failureThreshold": 2147483648, "terminationGracePeriodSeconds": 0`),
			`containers[0].livenessProbe.grpc.port: 0: must be 1 to 65535
containers[0].livenessProbe.initialDelaySeconds: -1: must be 0 to 2147483647
containers[0].livenessProbe.timeoutSeconds: -1: must be 1 to 2147483647
containers[0].livenessProbe.periodSeconds: -1: must be 1 to 2147483647
containers[0].livenessProbe.successThreshold: -1: must be 1 to 2147483647
containers[0].livenessProbe.failureThreshold: 2147483648: must be 1 to 2147483647
containers[0].livenessProbe.terminationGracePeriodSeconds: 0: must be 1 to 2147483647`, schemaRefuses,
		},
		{
			"port of a probe by name",
			probeWith(`"httpGet": {"port": "http"}`),
			`containers[0].livenessProbe.httpGet.port: "http": must be an integer from 0 to 65535`, schemaRefuses,
		},
		{
			"success threshold of a liveness probe",
			probeWith(`"exec": {"command": ["true"]}, "successThreshold": 2`),
			`containers[0].livenessProbe.successThreshold: 2: must be 1 for a livenessProbe`, schemaRefuses,
		},
		{
			"grace period of a readiness probe",
			podWith(`"containers": [{"name": "app", "readinessProbe": {"exec": {"command": ["true"]}, "terminationGracePeriodSeconds": 1}}]`),
			`containers[0].readinessProbe.terminationGracePeriodSeconds: 1: not for a readinessProbe, which stops nothing`, schemaRefuses,
		},
		{
			"command of a probe",
			probeWith(`"exec": {"command": []}`),
			`containers[0].livenessProbe.exec.command: must have an entry`, schemaRefuses,
		},
		{
			"command of a probe without a name",
			probeWith(`"exec": {"command": ["", "x"]}`),
			`containers[0].livenessProbe.exec.command[0]: "": must name what to run`, schemaRefuses,
		},
		{
			"request of a probe",
			probeWith(`"httpGet": {"path": "/a\nb", "port": 80, "host": "example.com", "scheme": "FTP", "httpHeaders": [{"name": "a b", "value": ""}, {"name": "", "value": "x\r\ny: z"}]}`),
			`containers[0].livenessProbe.httpGet.path: "/a\nb": must not contain control characters
containers[0].livenessProbe.httpGet.host: "example.com": must be an IP address, or "localhost"
containers[0].livenessProbe.httpGet.scheme: "FTP": must be HTTP or HTTPS
containers[0].livenessProbe.httpGet.httpHeaders[0].name: "a b": must be a token of letters, digits and !#$%&'*+-.^_` + "`" + `|~
containers[0].livenessProbe.httpGet.httpHeaders[1].name: "": must be a token of letters, digits and !#$%&'*+-.^_` + "`" + `|~
containers[0].livenessProbe.httpGet.httpHeaders[1].value: "x\r\ny: z": must not contain control characters`, schemaRefuses,
		},
		{
			"host of a probe",
			probeWith(`"tcpSocket": {"port": 80, "host": "fe80::1%eth0"}`),
			`containers[0].livenessProbe.tcpSocket.host: "fe80::1%eth0": must be an IP address, or "localhost"`, schemaRefuses,
		},
		{
			"handlers",
			podWith(`"containers": [{"name": "app", "lifecycle": {"postStart": {}, "preStop": {"sleep": {"seconds": -1}, "exec": {"command": ["true"]}}}}]`),
			`containers[0].lifecycle.postStart: must have one of exec, httpGet or sleep
containers[0].lifecycle.preStop: must have one of exec, httpGet or sleep, not 2`, schemaRefuses,
		},
		{
			"sleep",
			podWith(`"containers": [{"name": "app", "lifecycle": {"preStop": {"sleep": {"seconds": -1}}}}]`),
			`containers[0].lifecycle.preStop.sleep.seconds: -1: must be 0 to 2147483647`, schemaRefuses,
		},
		{
			"probe of an init container",
			podWith(`"initContainers": [{"name": "a", "startupProbe": {"exec": {"command": ["true"]}}, "lifecycle": {}}, {"name": "b", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["true"]}}}], "containers": [{"name": "c"}]`),
			`initContainers[0].startupProbe: only for a container that keeps running: not for an init container without restartPolicy "Always"
initContainers[0].lifecycle: only for a container that keeps running: not for an init container without restartPolicy "Always"`, schemaAccepts,
		},
		{
			"bundlePath",
			podWith(`"volumes": [{"name": "a", "bundlePath": {"path": "/etc"}}, {"name": "b", "bundlePath": {"path": "a/../.."}}, {"name": "c", "bundlePath": {"path": ""}}]`),
			`volumes[0].bundlePath.path: "/etc": must be a relative path
volumes[1].bundlePath.path: "a/../..": must not contain ".."
volumes[2].bundlePath.path: "": must be a clean relative path`, schemaRefuses,
		},
		{
			"addressEnv",
			podWith(`"containers": [{"name": "a", "addressEnv": {"A=B": "podIP", "C": "hostIP"}}]`),
			`containers[0].addressEnv["A=B"]: "A=B": must be the name of a variable, without "="
containers[0].addressEnv.C: "hostIP": must be podIP or podIPs`, schemaRefuses,
		},
		{
			"recursiveReadOnly alone",
			mountWith(`{"name": "data", "mountPath": "/a", "recursiveReadOnly": true}`),
			`containers[0].volumeMounts[0].recursiveReadOnly: true: needs readOnly`, schemaRefuses,
		},
		{
			"mountPropagation",
			mountWith(`{"name": "data", "mountPath": "/a", "mountPropagation": "Bidirectional"}, {"name": "data", "mountPath": "/b", "mountPropagation": "HostToContainer"}`),
			`containers[0].volumeMounts[0].mountPropagation: "Bidirectional": must be None or HostToContainer
containers[0].volumeMounts[1].mountPropagation: "HostToContainer": the volume "data" is no hostPath`, schemaRefuses,
		},
		{
			"mount of no volume",
			mountWith(`{"name": "dta", "mountPath": "/data"}`),
			`containers[0].volumeMounts[0].name: "dta": the pod has no such volume`, schemaAccepts,
		},
		{
			"mount path",
			mountWith(`{"name": "data", "mountPath": "data"}, {"name": "data", "mountPath": "/a/../etc"}, {"name": "data", "mountPath": "/a/"}, {"name": "data", "mountPath": "/"}`),
			`containers[0].volumeMounts[0].mountPath: "data": must be an absolute path
containers[0].volumeMounts[1].mountPath: "/a/../etc": must not contain ".."
containers[0].volumeMounts[2].mountPath: "/a/": must be clean: "/a"
containers[0].volumeMounts[3].mountPath: "/": a volume cannot be the root file system`, schemaRefuses,
		},
		{
			"mount path twice",
			mountWith(`{"name": "data", "mountPath": "/a"}, {"name": "data", "mountPath": "/a"}`),
			`containers[0].volumeMounts[1].mountPath: "/a": another volume of the container is mounted there`, schemaAccepts,
		},
		{
			"sub path",
			mountWith(`{"name": "data", "mountPath": "/a", "subPath": "/x"}, {"name": "data", "mountPath": "/b", "subPath": "x/../../y"}, {"name": "data", "mountPath": "/c", "subPath": "x//y"}, {"name": "data", "mountPath": "/d", "subPath": "."}`),
			`containers[0].volumeMounts[0].subPath: "/x": must be a relative path
containers[0].volumeMounts[1].subPath: "x/../../y": must not contain ".."
containers[0].volumeMounts[2].subPath: "x//y": must be a clean relative path
containers[0].volumeMounts[3].subPath: ".": must be a clean relative path`, schemaRefuses,
		},
	}
}
