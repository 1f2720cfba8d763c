// Package manifest compiles Kubernetes Pod manifests into pod bundles: what the API
// server, the kubelet and containerd's CRI plugin make of a Pod on its way to a
// container, without any of them. [Objects.Read] reads documents; [Compile] makes
// of one Pod, with the ConfigMaps and Secrets beside it, a pod.json, a config.json
// for each container and the files of its volumes; [Bundle.Write] writes them.
//
// Compile touches nothing: what it has to know of the host and of images it is
// given. All that is wrong is reported, by the path of the field.
//
// Each field of a Pod is honoured, refused by path and value, or without a meaning
// on one host (fields.go); docs/kubernetes.md is written from that table.
package manifest
