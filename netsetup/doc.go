// Package netsetup knows how a pod's containers reach a network.
//
// # Model
//
// A [Mode] says whose network namespace a pod uses: one of its own without
// any link but lo ("none"), the host's ("host"), or another pod's
// ("container:POD"). The namespaces themselves are made and pinned elsewhere.
//
// [Files] describes hostname, hosts and resolv.conf, which are the pod's:
// every container has them bind-mounted. [WriteFiles] makes each one whole by
// a rename, or, once it exists, changes it in its inode, which is what a
// running container sees. Nothing else is kept.
//
// Errors name the field as the pod bundle spells it, and its value.
package netsetup
