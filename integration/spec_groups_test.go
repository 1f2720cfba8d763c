package integration

import (
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// The annotation that podman writes for --group-add keep-groups.
func TestSpecKeepGroups(t *testing.T) {
	nativeOnly(t)
	o := newOCI(t, "id -G; sleep 1000")
	o.reachable()
	call := func(args ...string) string {
		t.Helper()
		cmd := o.command(args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{4321, 5432}}}
		r := o.finish(cmd)
		if r.code != 0 || r.stderr != "" {
			t.Fatalf("podrt %q: %+v", args, r)
		}
		return strings.TrimSpace(r.stdout)
	}
	ids := []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
	for _, tt := range []struct {
		name, value string
		userns      bool
		want        string
	}{
		{"without", "", false, "0 7"},
		{"off", "0", false, "0 7"},
		{"on", "1", false, "0 4321 5432"},
		{"in a user namespace", "1", true, "0 65534 65534"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o.configure(func(s *specs.Spec) {
				s.Process.Args = []string{"id", "-G"}
				s.Process.User.AdditionalGids = []uint32{7}
				s.Annotations = nil
				if tt.value != "" {
					s.Annotations = map[string]string{"run.oci.keep_original_groups": tt.value}
				}
				if tt.userns {
					userNamespace(s, ids, ids)
				}
			})
			if got := call("run", "c1"); got != tt.want {
				t.Errorf("groups of the init: %s; want %s", got, tt.want)
			}
			o.configure(func(s *specs.Spec) { s.Process.Args = []string{"sleep", "1000"} })
			call("run", "--detach", "c1")
			if got := call("exec", "c1", "id", "-G"); got != tt.want {
				t.Errorf("groups of exec: %s; want %s", got, tt.want)
			}
			o.ok("delete", "--force", "c1")
		})
	}
	// libcontainer cannot do both, and runc does not know the annotation.
	o.configure(func(s *specs.Spec) {
		s.Process.Args = []string{"id", "-G"}
		s.Process.User.AdditionalGids = []uint32{7}
		s.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tmp", Source: o.bundle, Options: []string{"bind", "idmap"}, UIDMappings: ids, GIDMappings: ids})
	})
	if got := call("run", "c1"); got != "0 7" {
		t.Errorf("groups with id-mapped mounts: %s; want 0 7", got)
	}
}
