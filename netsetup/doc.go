// Package netsetup knows how a pod's containers reach a network.
//
// # Model
//
// A [Mode] says whose network namespace a pod uses, and what is in it: nothing
// but lo ("none"), an interface in a network (its name), or what the host
// ("host"), another pod ("container:POD") or somebody else ("ns:PATH") has there.
// The namespaces themselves are made and pinned elsewhere.
//
// A [Network] is a bridge of this host. [Networks] keeps their definitions, and
// who has which address and port, as names in directories: a pod is a UID.
// [Networks.Attach] gives a pod its [Interface], [Networks.Detach] takes back, by
// UID alone, whatever of that there is. Bridge, veth and addresses are made by
// rtnetlink (rtnl.go), rules in one nftables table (rules.go), both in process.
// With the first pod of a network its bridge is made, with the last one removed.
//
// Networks of a CNI configuration are [CNI]'s: podrt-cni, another program,
// executes the plugins.
//
// [Files] describes hostname, hosts and resolv.conf, which are the pod's:
// every container has them bind-mounted. [WriteFiles] makes each one whole by
// a rename, or, once it exists, changes it in its inode, which is what a
// running container sees. [WriteNames] adds the names of a network's other pods.
//
// [Networks] are bridges of this host that pods are attached to, by rtnetlink and
// nftables in this process. A pod is a UID here. All that is lasting of it is
// links in a directory, made before what they tell of, so that
// [Networks.Detach] finds by UID what a killed [Networks.Attach] has left.
//
// Errors name the field as the pod bundle spells it, and its value.
package netsetup
