// Command podrt-probe asks a container of a pod by the network: HTTP, TCP or gRPC.
// It is what podrt executes for each httpGet, tcpSocket and grpc of a pod's probes,
// in the pod's network namespace: it reads one request as JSON on its standard
// input, asks, and writes one answer on its standard output (see netprobe). The
// exit status is 0 if there is an answer, whatever it says.
//
// It is a program of its own for what it links, which no start of a container
// should pay for, and because who answers may be hostile: before it asks it becomes
// another user, without capabilities or a way back to them, and it reads a bounded
// part of any answer, in a bounded time. It ends when podrt does: with its standard
// input, as PR_SET_PDEATHSIG is lost with the user (prctl(2)).
package main
