package manifest

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestBad: what is wrong is said with the path and the value, all of it at once.
func TestBad(t *testing.T) {
	for _, c := range []struct {
		name, spec string // below spec, indented by two
		want       string
	}{
		{
			"nothing", "{}",
			`spec.containers: required: at least one`,
		},
		{
			"names", "{volumes: [{name: A}, {name: v}, {name: v}], containers: [{name: a.b, image: busybox}, {name: c}, {name: c, image: busybox}]}",
			`spec.volumes[0].name: "A": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
spec.volumes[2].name: "v": name of an earlier volume
spec.containers[0].name: "a.b": must not contain dots
spec.containers[1].image: required
spec.containers[2].name: "c": name of an earlier container`,
		},
		{
			"words", "{restartPolicy: Sometimes, dnsPolicy: Cluster, hostUsers: false, containers: [{name: a, image: busybox, imagePullPolicy: Often, restartPolicy: Maybe}]}",
			`spec.hostUsers: false: not supported: pod.json has userNamespace for it
spec.restartPolicy: "Sometimes": must be one of Always, OnFailure, Never
spec.dnsPolicy: "Cluster": must be one of ClusterFirst, ClusterFirstWithHostNet, Default, None
spec.containers[0].imagePullPolicy: "Often": must be one of Always, IfNotPresent, Never
spec.containers[0].restartPolicy: "Maybe": must be one of Always, OnFailure, Never`,
		},
		{
			"mounts", "{volumes: [{name: v}], containers: [{name: a, image: busybox, volumeMounts: [{name: w, mountPath: /w}, {name: v, mountPath: /}, {name: v, mountPath: /a}, {name: v, mountPath: a/}, {name: v, mountPath: /b, subPath: ../x}, {name: v, mountPath: /c, mountPropagation: Bidirectional}]}]}",
			`spec.containers[0].volumeMounts[0].name: "w": the pod has no such volume
spec.containers[0].volumeMounts[1].mountPath: "/": a volume cannot be the root file system
spec.containers[0].volumeMounts[3].mountPath: "a/": another volume of the container is mounted there
spec.containers[0].volumeMounts[4].subPath: "../x": must not contain ".."
spec.containers[0].volumeMounts[5].mountPropagation: "Bidirectional": must be one of None, HostToContainer`,
		},
		{
			"ports", "{containers: [{name: a, image: busybox, ports: [{containerPort: 0}, {containerPort: 1, hostPort: 70000}, {containerPort: 2, hostPort: 80}, {containerPort: 3, protocol: tcp}]}, {name: b, image: busybox, ports: [{containerPort: 2, hostPort: 80, name: x}, {containerPort: 4, hostIP: localhost, name: x}]}]}",
			`spec.containers[0].ports[0].containerPort: 0: must be between 1 and 65535, inclusive
spec.containers[0].ports[1].hostPort: 70000: must be between 1 and 65535, inclusive
spec.containers[0].ports[3].protocol: "tcp": must be one of TCP, UDP, SCTP
spec.containers[1].ports[0].hostPort: 80: is that of spec.containers[0].ports[2]
spec.containers[1].ports[1].name: "x": name of an earlier port
spec.containers[1].ports[1].hostIP: "localhost": not an IP address`,
		},
		{
			"not supported", "{activeDeadlineSeconds: 60, runtimeClassName: kata, volumes: [{name: v, nfs: {server: s, path: /p}}, {name: d, emptyDir: {sizeLimit: 1Gi}}], containers: [{name: a, image: busybox, tty: true, stdin: false}]}",
			`spec.volumes[0].nfs: not supported: mount it on the host and use a hostPath
spec.containers[0].tty: true: containers of a pod have no terminal: use podrt pod exec -t
spec.activeDeadlineSeconds: 60: not supported: run it below timeout(1)
spec.runtimeClassName: "kata": there is no cluster that has RuntimeClasses: podrt is the runtime`,
		},
		{
			"values", `{volumes: [{name: d, emptyDir: {sizeLimit: 1Gi}}, {name: c, configMap: {name: none}}, {name: h, hostPath: {path: ../x, type: Dir}}], containers: [{name: a, image: busybox, resources: {limits: {nvidia.com/gpu: "1", cpu: 1}, requests: {cpu: 2}}, env: [{name: A, valueFrom: {secretKeyRef: {name: none, key: k}}}, {name: B, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: C, valueFrom: {}}, {name: D, value: 'at $(B)'}, {name: E, valueFrom: {fieldRef: {fieldPath: status.phase}}}]}]}`,
			`spec.containers[0].resources.limits["nvidia.com/gpu"]: 1: there is no cluster that would allocate it
spec.containers[0].resources.requests["cpu"]: 2: is more than the limit, 1
spec.containers[0].resources.requests["nvidia.com/gpu"]: 1: there is no cluster that would allocate it
spec.volumes[0].emptyDir.sizeLimit: 1Gi: needs medium "Memory"; on disk nothing would enforce it
spec.volumes[1].configMap.name: "none": no such ConfigMap in namespace "default" among the documents
spec.volumes[2].hostPath.path: "../x": must be an absolute path
spec.volumes[2].hostPath.type: "Dir": must be one of Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice
spec.containers[0].env[0].valueFrom.secretKeyRef.name: "none": no such Secret in namespace "default" among the documents
spec.containers[0].env[2].valueFrom: must have one source, not 0
spec.containers[0].env[3].value: "at $(B)": $(B) is the pod's address, which is known when the pod has been made: have a shell expand it
spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: "status.phase": must be metadata.name, namespace, uid, labels['KEY'] or annotations['KEY'], spec.nodeName or serviceAccountName, status.podIP, podIPs, hostIP or hostIPs`,
		},
		{
			"quantities", `{volumes: [{name: m, emptyDir: {medium: Memory, sizeLimit: 99999999999999999999}}], containers: [{name: a, image: busybox, resources: {limits: {cpu: 1e400, memory: 10E, hugepages-x: -1, hugepages-3Ki: 1, hugepages-: 1}, requests: {cpu: 10E, memory: 1, hugepages-x: -1, hugepages-3Ki: 1, hugepages-: 1}}, env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 8E}}}]}]}`,
			`spec.containers[0].resources.limits["cpu"]: 10e399: must be at most 1000000
spec.containers[0].resources.limits["hugepages-"]: "": no size of pages
spec.containers[0].resources.limits["hugepages-3Ki"]: "3Ki": no size of pages
spec.containers[0].resources.limits["hugepages-x"]: -1: must not be negative
spec.containers[0].resources.limits["hugepages-x"]: "x": no size of pages
spec.containers[0].resources.limits["memory"]: 10E: must be at most 1152921504606846976
spec.containers[0].resources.requests["cpu"]: 10E: must be at most 1000000
spec.containers[0].resources.requests["hugepages-"]: "": no size of pages
spec.containers[0].resources.requests["hugepages-3Ki"]: "3Ki": no size of pages
spec.containers[0].resources.requests["hugepages-x"]: -1: must not be negative
spec.containers[0].resources.requests["hugepages-x"]: "x": no size of pages
spec.volumes[0].emptyDir.sizeLimit: 100E: must be at most 1152921504606846976
spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: 8E: must be at most 1152921504606846976`,
		},
		{
			"security", "{securityContext: {fsGroup: -1, sysctls: [{name: a}, {name: a}]}, containers: [{name: a, image: busybox, securityContext: {allowPrivilegeEscalation: false, privileged: true, capabilities: {add: [EVERYTHING]}, seccompProfile: {type: Localhost}, appArmorProfile: {type: RuntimeDefault}}}]}",
			`spec.containers[0].securityContext.seccompProfile.localhostProfile: required with type "Localhost"
spec.containers[0].securityContext.appArmorProfile.type: "RuntimeDefault": not supported: podrt brings no profile; use Localhost and one that the host has loaded
spec.containers[0].securityContext.allowPrivilegeEscalation: false: not together with privileged
spec.containers[0].securityContext.capabilities.add[0]: "EVERYTHING": no capability of Linux
spec.securityContext.fsGroup: -1: must be 0 to 2147483647
spec.securityContext.sysctls[1].name: "a": set twice`,
		},
		{
			"images", "{containers: [{name: a, image: nonesuch}, {name: b, image: 'scratch:1'}, {name: c, image: 'web:1'}, {name: d, image: busybox, securityContext: {runAsNonRoot: true}}, {name: e, image: busybox, securityContext: {runAsUser: 77}}, {name: f, image: busybox, lifecycle: {stopSignal: SIGNONE}}]}",
			`spec.containers[0].image: "nonesuch": file does not exist
spec.containers[1].command: required: the image "scratch:1" says nothing to run
spec.containers[3].securityContext.runAsNonRoot: true: the user would be root: the image names none, and there is no runAsUser
spec.containers[4].securityContext.runAsUser: "busybox": user "77" of the image sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: no such user
spec.containers[5].lifecycle.stopSignal: "SIGNONE": no signal to stop it with: unknown signal "SIGNONE"`,
		},
		{
			"before images", `{containers: [{name: a, image: nonesuch, workingDir: srv}, {name: b, image: nonesuch, workingDir: "/a\0", args: ["a\0"]}]}`,
			`spec.containers[0].workingDir: "srv": must be an absolute path
spec.containers[1].args[0]: must not contain a zero byte
spec.containers[1].workingDir: "/a\x00": must not contain a zero byte`,
		},
		{
			"before images by the runtime", "{containers: [{name: a, image: nonesuch, livenessProbe: {exec: {command: [a]}, periodSeconds: -1}}]}",
			`pod.json: containers[0].livenessProbe.periodSeconds: `,
		},
		{
			"files", "{volumes: [{name: v, projected: {defaultMode: 01000, sources: [{downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.name}}, {path: a/b, fieldRef: {fieldPath: metadata.name}}, {path: /c, fieldRef: {fieldPath: metadata.name}}, {path: d, fieldRef: {fieldPath: spec.nodeName}}, {path: e, resourceFieldRef: {resource: limits.cpu}}]}}, {}]}}], containers: [{name: a, image: busybox}]}",
			`spec.volumes[0].projected.defaultMode: 512: must be 0 to 511, which is 0777
spec.volumes[0].projected.sources[0].downwardAPI.items[2].path: "/c": must be a relative path
spec.volumes[0].projected.sources[0].downwardAPI.items[3].fieldRef.fieldPath: "spec.nodeName": must be a field of metadata: name, namespace, uid, labels, annotations
spec.volumes[0].projected.sources[0].downwardAPI.items[4].resourceFieldRef.containerName: required in a volume
spec.volumes[0].projected.sources[1]: must have one source, not 0
spec.volumes[0].projected: "a": is both a file and a directory`,
		},
		{
			"names of files", `{volumes: [{name: v, downwardAPI: {items: [{path: ., fieldRef: {fieldPath: metadata.name}}, {path: ./..data/x, fieldRef: {fieldPath: metadata.name}}, {path: "a\0", fieldRef: {fieldPath: metadata.name}}, {path: LONG, fieldRef: {fieldPath: metadata.name}}]}}], containers: [{name: a, image: busybox}]}`,
			`spec.volumes[0].downwardAPI.items[0].path: ".": must name a file
spec.volumes[0].downwardAPI.items[1].path: "./..data/x": must not begin with ".."
spec.volumes[0].downwardAPI.items[2].path: "a\x00": must not contain a zero byte
spec.volumes[0].downwardAPI.items[3].path: "` + strings.Repeat("x", maxShown) + `"…: is too long`,
		},
		{
			"zero bytes", `{volumes: [{name: h, hostPath: {path: "/a\0"}}], containers: [{name: a, image: busybox, command: ["a\0"], env: [{name: A, value: "b\0"}, {name: B, valueFrom: {secretKeyRef: {name: binary, key: zero}}}], envFrom: [{prefix: "A=", secretRef: {name: binary}}, {prefix: A, secretRef: {name: binary}}]}]}`,
			`spec.volumes[0].hostPath.path: "/a\x00": must not contain a zero byte
spec.containers[0].envFrom[0].prefix: "A=": a valid environment variable name must consist only of printable ASCII characters other than '='
spec.containers[0].envFrom[1]: "Azero": must not contain a zero byte
spec.containers[0].env[0].value: "A": must not contain a zero byte
spec.containers[0].env[1].valueFrom: "B": must not contain a zero byte`,
		},
		{
			"too long", "{containers: [{name: a, image: busybox, env: [{name: A, value: 'LONGLONG'}, {name: B, value: '$(A)$(A)$(A)$(A)$(A)$(A)$(A)$(A)$(A)$(A)'}, {name: C, value: '$(B)$(B)$(B)$(B)$(B)$(B)$(B)$(B)$(B)$(B)'}, {name: D, value: '$(C)$(C)$(C)$(C)$(C)$(C)$(C)$(C)$(C)$(C)'}]}]}",
			`spec.containers[0].env[3].value: "D": must have at most 131071 bytes, which is what the kernel takes`,
		},
		{
			"pull secrets", "{imagePullSecrets: [{name: none}, {name: opaque}, {name: broken}], containers: [{name: a, image: busybox}]}",
			`spec.imagePullSecrets[0].name: "none": no such Secret in namespace "default" among the documents
spec.imagePullSecrets[1].name: "opaque": the Secret's type is "": must be kubernetes.io/dockerconfigjson
spec.imagePullSecrets[2].name: "broken": the Secret's .dockerconfigjson is not the JSON of a docker config.json`,
		},
		{
			"probes", "{containers: [{name: a, image: busybox, ports: [{name: http, containerPort: 80}], livenessProbe: {httpGet: {port: htp}}, readinessProbe: {tcpSocket: {port: 0}}, lifecycle: {preStop: {tcpSocket: {port: 1}}}}]}",
			`spec.containers[0].lifecycle.preStop.tcpSocket: not supported, nor by Kubernetes`,
		},
		{
			"ports of probes", "{containers: [{name: a, image: busybox, ports: [{name: http, containerPort: 80}], livenessProbe: {httpGet: {port: htp}}, readinessProbe: {tcpSocket: {port: 0}}, startupProbe: {grpc: {port: 9, mode: TLS}}}]}",
			`spec.containers[0].livenessProbe.httpGet.port: "htp": the container has no port of that name
spec.containers[0].readinessProbe.tcpSocket.port: 0: must be 1 to 65535
spec.containers[0].startupProbe.grpc.mode: "TLS": must be Plaintext`,
		},
		{
			// What only the runtime knows.
			"sysctl", "{securityContext: {sysctls: [{name: vm.swappiness, value: '1'}]}, containers: [{name: a, image: busybox}]}",
			`pod.json: sysctls["vm.swappiness"]: `,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := new(Objects)
			if err := o.Read("x.yaml", []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: "+strings.ReplaceAll(c.spec, "LONG", strings.Repeat("x", 300)))); err != nil {
				t.Fatal(err)
			}
			o.Secrets = badSecrets()
			_, err := Compile(o.Pods[0], o, testHost(), newImages())
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), `x.yaml: Pod "p": `, "")
			if prefix, ok := strings.CutSuffix(c.want, ": "); ok && strings.HasPrefix(got, prefix) {
				return
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func badSecrets() []*corev1.Secret {
	return []*corev1.Secret{
		{ObjectMeta: metav1.ObjectMeta{Name: "opaque"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "binary"}, Data: map[string][]byte{"zero": []byte("s3cret\x00")}},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "broken"}, Type: corev1.SecretTypeDockerConfigJson,
			Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte("{s3cret")},
		},
	}
}

// aliases are further entries of a mapping, with the value a.
func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ", k%d: *a", i)
	}
	return b.String()
}

// TestRead: documents that are none of those that are read.
func TestRead(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "# nothing\n---\n\n", ""},
		{"not YAML", "a: [", `x: document 1: error converting YAML to JSON: yaml: line 1: did not find expected node content`},
		{"no object", "a: 1", `x: document 1: no apiVersion and kind: not an object of Kubernetes`},
		{
			"kind", "apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: Service\n",
			`x: document 1: kind Deployment (apps/v1): only Pod, ConfigMap and Secret are read; write a Pod with the metadata and spec of its template
x: document 2: kind Service (v1): only Pod, ConfigMap and Secret are read; a port is published by hostPort, and pods of a network find each other by name`,
		},
		{
			"kinds to be seen", "apiVersion: \"\\e[31mv2\"\nkind: Deployment\n---\napiVersion: \"\\e[31mv2\"\nkind: \"\\e[31m\"\n",
			`x: document 1: kind Deployment (\x1b[31mv2): only Pod, ConfigMap and Secret are read; write a Pod with the metadata and spec of its template
x: document 2: kind "\x1b[31m" (\x1b[31mv2): only Pod, ConfigMap and Secret of v1 are read`,
		},
		{
			"aliases", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: &a '" + strings.Repeat("x", 1<<20) + "'" + aliases(100) + "}\n",
			`x: document 1: has more than 67108864 bytes with its aliases`,
		},
		{
			"aliases of aliases", "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n" + "d: &d [*d]",
			`x: document 1: has more than 67108864 bytes with its aliases`,
		},
		{
			"lists", "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: []}]\n",
			`x: document 1: items[0]: kind List: must not be in another`,
		},
		{
			"unknown fields", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {container: [], containers: [{name: a, Image: b}]}",
			`x: document 1: Pod "p": unknown field "spec.container"
unknown field "spec.containers[0].Image"`,
		},
		{
			"twice", "apiVersion: v1\nkind: Pod\nkind: Pod\n",
			`x: document 1: Pod "": yaml: unmarshal errors:
  line 3: key "kind" already set in map`,
		},
		{
			"keys", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {../x: s3cret}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nbinaryData: {..data: ''}\n",
			`x: document 1: Secret "s": data["../x"]: a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')
x: document 2: ConfigMap "c": binaryData["..data"]: must not start with '..'`,
		},
		{
			"same name", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: default}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, namespace: other}\n",
			`x: document 2: Secret "s": there is an earlier one of that name`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			if err := new(Objects).Read("x", []byte(c.in)); err != nil {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}
