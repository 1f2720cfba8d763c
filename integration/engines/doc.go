// Package engines proves podrt under the engines that call an OCI runtime:
// Debian's podman, buildah, containerd and docker, each with podrt and with
// Debian's runc, so that a difference is podrt's.
//
// Its tests climb to a rung by themselves, as those of package integration do:
//
//	PODRT_RUNG_WANT=native go test ./integration/engines -run TestPodman
//	go test ./integration/engines -run TestPodman
//
// An engine's test is named for it; its subtests are RUNTIME/OPERATION, as in
// TestPodman/podrt/run-d, from which ./table makes the table of
// integration/README.md. An operation names the rungs that it runs on: natively,
// unless it needs what only the VM has (controllers, CAP_SYS_RESOURCE, criu),
// where everything is ten times slower.
package engines
