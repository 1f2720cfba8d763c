package cgroups

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// loopDevice makes a block device of some MiB; it returns its path and number.
func loopDevice(t *testing.T) (dev, number string) {
	t.Helper()
	needModule(t, "loop", "/dev/loop-control")
	file := t.TempDir() + "/disk"
	if err := os.WriteFile(file, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
	if err != nil {
		t.Fatalf("losetup: %v: %s", err, out)
	}
	dev = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach: %v: %s", err, out)
		}
	})
	b, err := os.ReadFile("/sys/class/block/" + strings.TrimPrefix(dev, "/dev/") + "/dev")
	if err != nil {
		t.Fatal(err)
	}
	return dev, strings.TrimSpace(string(b))
}

func TestIO(t *testing.T) {
	rung.Privileged(t)
	rung.NeedController(t, "io")
	p := limitedPod(t, `{}`, "one")
	dev, number := loopDevice(t)
	major, minor, _ := strings.Cut(number, ":")
	device := fmt.Sprintf(`"major":%s,"minor":%s`, major, minor)
	err := p.Apply(resources(t, fmt.Sprintf(`{"blockIO":{"throttleReadBpsDevice":[{%s,"rate":104857600}],"throttleWriteIOPSDevice":[{%s,"rate":1000}]}}`, device, device)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, p, "io.max"), number+" rbps=104857600 wbps=max riops=max wiops=1000"; got != want {
		t.Errorf("io.max = %q; want %q", got, want)
	}

	startSh(t, p.Leaf("one"), "dd if="+dev+" of=/dev/null bs=1M count=2 iflag=direct 2>/dev/null; "+
		"dd if=/dev/zero of="+dev+" bs=1M count=1 oflag=direct 2>/dev/null; echo ready").ready()
	s, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, d := range s.IO.Devices {
		if fmt.Sprintf("%d:%d", d.Major, d.Minor) == number {
			found = true
			if d.ReadBytes != 2<<20 || d.WriteBytes != 1<<20 || d.Reads == 0 || d.Writes == 0 {
				t.Errorf("io stats of the device: %+v; want 2 MiB read and 1 MiB written", d)
			}
		}
	}
	if !found {
		t.Errorf("io stats: %+v; want device %s among them", s.IO, number)
	}

	err = p.Apply(resources(t, `{"blockIO":{"weight":500}}`))
	_, nobfq := os.Stat(string(p) + "/io.bfq.weight")
	_, nocost := os.Stat(string(p) + "/io.weight")
	switch {
	case nobfq != nil && nocost != nil:
		if !matches(err, "resources.blockIO.weight needs io.bfq.weight") {
			t.Errorf("Apply of a weight without a file for it: %v; want that said", err)
		}
	case err != nil:
		t.Error(err)
	case nobfq == nil:
		if got := content(t, p, "io.bfq.weight"); got != "default 500" {
			t.Errorf("io.bfq.weight = %q; want default 500", got)
		}
	default:
		if got := content(t, p, "io.weight"); got != "default 4950" {
			t.Errorf("io.weight = %q; want default 4950", got)
		}
	}
	// A weight for a device whose scheduler knows none is not dropped silently.
	err = p.Apply(resources(t, fmt.Sprintf(`{"blockIO":{"weightDevice":[{%s,"weight":500}]}}`, device)))
	if nobfq != nil && !matches(err, "resources.blockIO.weightDevice") {
		t.Errorf("Apply of a device's weight without BFQ: %v; want it refused", err)
	}
}
