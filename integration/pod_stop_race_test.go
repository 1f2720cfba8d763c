package integration

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/podrt/podrt/integration/bundle"
)

// TestPodStopAndStart: of a stop and a start of one pod at the same time, one comes
// first: the pod runs then, or it is stopped, as a whole, and neither waits for the
// other's containers.
func TestPodStopAndStart(t *testing.T) {
	for _, policy := range []string{"Never", "Always"} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld(t)
			members := bundle.Pod{"restartPolicy": policy, "terminationGracePeriodSeconds": 0}
			w.start(t, w.scripts(t, members, "a", "sleep 1000", "b", "sleep 1000", "c", "sleep 1000"))
			for i := range 6 {
				began := time.Now()
				var start, stop *result
				var wg sync.WaitGroup
				wg.Go(func() { start = w.podrt(t, "pod", "start", "p") })
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				wg.Go(func() { stop = w.podrt(t, "pod", "stop", "p") })
				wg.Wait()
				if took := time.Since(began); took > 9*time.Second {
					t.Errorf("round %d: that took %v", i, took)
				}
				if stop.code != 0 {
					t.Errorf("round %d: %v; want it to succeed", i, stop)
				}
				if start.code != 0 && !strings.Contains(start.stderr, "is being stopped") {
					t.Errorf("round %d: %v; want it to succeed, or to say that the pod is being stopped", i, start)
				}
				pod := w.inspect(t, "p")
				run := slices.ContainsFunc(pod.Containers, func(c containerInfo) bool { return c.Status == "running" })
				if pod.Monitored != run || start.code != 0 && run {
					t.Errorf("round %d: pod start ended with %d, and the pod is %+v", i, start.code, pod)
				}
				for _, c := range pod.Containers {
					if (c.Status == "running") != run {
						t.Errorf("round %d: container %q is %s; want it as the others: %+v", i, c.Name, c.Status, pod.Containers)
					}
				}
			}
		})
	}
}
