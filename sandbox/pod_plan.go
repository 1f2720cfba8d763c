package sandbox

import (
	"context"
	"time"
)

// CheckPod verifies what [Store.CreatePod] does before it makes anything, but for the
// bundle, for who has something to lose by then. What spec leaves out is filled in.
func (s *Store) CheckPod(ctx context.Context, spec *PodSpec) error {
	_, err := s.planPod(ctx, spec)
	return err
}

// planPod checks everything that can be checked before anything is made and
// returns the pod as it will be recorded.
func (s *Store) planPod(ctx context.Context, spec *PodSpec) (*Pod, error) {
	spec.setDefaults()
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	if err := spec.checkProbeProgram(); err != nil {
		return nil, err
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	uid := spec.Metadata.UID
	if uid == "" {
		uid = newUID()
	}
	p := &Pod{store: s, dir: s.podDir(uid), rec: podRecord{
		UID: uid, Name: spec.Metadata.Name, BootID: boot,
		Created: time.Now().UTC(), Spec: spec,
		ContainerRoot: s.containerRoot(),
	}}
	if err := p.planCgroup(); err != nil {
		return nil, err
	}
	if err := p.planNetwork(ctx); err != nil {
		return nil, err
	}
	return p, nil
}
