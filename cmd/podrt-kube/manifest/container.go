package manifest

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/podrt/podrt/sandbox"
)

// draft is a container as far as it does not depend on its image.
type draft struct {
	at            string
	k             *corev1.Container
	env           *environment
	command, args []string // of the Pod; nil for the image's
	list          *[]sandbox.PodContainer
	n             int // in list
	spec          *specs.Spec
}

// draft adds a container to pod.json, and makes its config.json as containerd's CRI
// plugin does, but for what the pod gives all of its containers.
func (c *compiler) draft(at string, k *corev1.Container, init bool, env *environment) *draft {
	out := sandbox.PodContainer{Name: k.Name, AddressEnv: env.late, VolumeMounts: c.volumeMounts(at, k, env)}
	if k.RestartPolicy != nil {
		out.RestartPolicy = string(*k.RestartPolicy)
	}
	c.probes(at, k, &out)
	d := &draft{at: at, k: k, env: env, list: &c.out.Spec.Containers}
	if init {
		d.list = &c.out.Spec.InitContainers
	}
	d.n = len(*d.list)
	*d.list = append(*d.list, out)
	d.command = c.expandAll(at+".command", k.Command, env)
	d.args = c.expandAll(at+".args", k.Args, env)
	if k.WorkingDir != "" {
		c.workingDir(at, k.WorkingDir)
	}
	d.spec = &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs", Readonly: on(k.SecurityContext.ReadOnlyRootFilesystem)},
		Mounts:  defaultMounts(on(k.SecurityContext.Privileged)),
		Process: &specs.Process{OOMScoreAdj: new(c.oomScoreAdj(k))},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{{Type: specs.MountNamespace}},
			Resources:  c.containerResources(k),
		},
	}
	c.security(at, k, d.spec)
	c.out.Containers = append(c.out.Containers, Container{Name: k.Name, Config: d.spec})
	return d
}

// complete adds what the image of a container says.
func (c *compiler) complete(d *draft, images Images) {
	k, at := d.k, d.at
	image, err := images.Image(k.Image, string(k.ImagePullPolicy), c.credentials)
	if err != nil {
		c.addf(at+".image", "%s: %v", quote(k.Image), err)
		return
	}
	(*d.list)[d.n].Image = image.Digest
	p := d.spec.Process
	p.Args = c.arguments(d, &image)
	p.Env = d.env.over(c.imageEnv(&image))
	p.Cwd = orDefault(orDefault(k.WorkingDir, image.Config.WorkingDir), "/")
	if k.WorkingDir == "" {
		c.workingDir(at, p.Cwd)
	}
	if signal := c.stopSignal(at, k, &image); signal != "" {
		d.spec.Annotations = map[string]string{sandbox.AnnotationStopSignal: signal}
	}
	c.user(at, k, &image, d.spec)
}

func (c *compiler) workingDir(at, dir string) {
	switch {
	case !strings.HasPrefix(dir, "/"):
		c.addf(at+".workingDir", "%s: must be an absolute path", quote(dir))
	case strings.Contains(dir, "\x00"):
		c.addf(at+".workingDir", "%s: "+zeroByte, quote(dir))
	}
}

// defaultPath is what images without a PATH get from every engine.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// imageEnv are the variables of the image, with those that every container has.
func (c *compiler) imageEnv(image *Image) []string {
	defaults := []string{defaultPath, "HOSTNAME=" + orDefault(c.out.Spec.Hostname, c.host.Name)}
	own := make(map[string]bool, len(image.Config.Env))
	for _, v := range image.Config.Env {
		name, _, _ := strings.Cut(v, "=")
		own[name] = true
	}
	defaults = slices.DeleteFunc(defaults, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return own[name]
	})
	return append(defaults, image.Config.Env...)
}

// arguments are what the container runs: command takes the place of the image's
// entrypoint and its arguments, args that of the arguments alone.
func (c *compiler) arguments(d *draft, image *Image) []string {
	command, args := image.Config.Entrypoint, image.Config.Cmd
	if len(d.command) > 0 {
		command, args = d.command, nil
	}
	if len(d.args) > 0 {
		args = d.args
	}
	all := slices.Concat(command, args)
	if len(all) == 0 {
		c.addf(d.at+".command", "required: the image %q says nothing to run", d.k.Image)
	}
	return all
}

// stopSignal is what ends the container; "" for SIGTERM.
func (c *compiler) stopSignal(at string, k *corev1.Container, image *Image) string {
	signal := image.Config.StopSignal
	if k.Lifecycle != nil && k.Lifecycle.StopSignal != nil {
		signal = string(*k.Lifecycle.StopSignal)
		at += ".lifecycle.stopSignal"
	} else {
		at += ".image"
	}
	if signal == "" {
		return ""
	}
	if _, err := sandbox.ParseSignal(signal); err != nil {
		c.addf(at, "%s: no signal to stop it with: %v", quote(signal), err)
	}
	return signal
}

// volumeMounts are what of the pod's volumes the container sees.
func (c *compiler) volumeMounts(at string, k *corev1.Container, env *environment) []sandbox.VolumeMount {
	var out []sandbox.VolumeMount
	for i, m := range k.VolumeMounts {
		at := index(at+".volumeMounts", i)
		mount := sandbox.VolumeMount{Name: m.Name, MountPath: mountPath(m.MountPath), ReadOnly: m.ReadOnly, SubPath: cleanSub(m.SubPath)}
		if m.SubPathExpr != "" {
			sub, unknown := expand(m.SubPathExpr, env.get, maxString)
			switch why := badRelative(sub); {
			case len(unknown) > 0:
				c.addf(at+".subPathExpr", "%s: the container has no variable %q", quote(m.SubPathExpr), unknown[0])
			case why != "":
				c.addf(at+".subPathExpr", "%s, which is %s: %s", quote(m.SubPathExpr), quote(sub), why)
			}
			mount.SubPath = cleanSub(sub)
		}
		if r := m.RecursiveReadOnly; r != nil && *r != corev1.RecursiveReadOnlyDisabled {
			mount.RecursiveReadOnly = true // every kernel that podrt runs on can do it
		}
		if p := m.MountPropagation; p != nil && *p != corev1.MountPropagationNone && c.isHostPath(m.Name) {
			mount.MountPropagation = string(*p)
		}
		out = append(out, mount)
	}
	// One below another comes after it, as containerd has it: else it would be hidden.
	slices.SortStableFunc(out, func(a, b sandbox.VolumeMount) int {
		return strings.Count(a.MountPath, "/") - strings.Count(b.MountPath, "/")
	})
	return out
}

// isHostPath reports whether a volume is one. Below others the host mounts nothing.
func (c *compiler) isHostPath(volume string) bool {
	for _, v := range c.pod.Spec.Volumes {
		if v.Name == volume {
			return v.HostPath != nil
		}
	}
	return false
}

// containerResources are the limits of the container's cgroup. A container that has
// hit its memory limit is killed as a whole, as kubelets want it since 1.28.
func (c *compiler) containerResources(k *corev1.Container) *specs.LinuxResources {
	r := linuxResources(amountsOf(k.Resources.Requests), amountsOf(k.Resources.Limits), c.resources.weighed)
	if r == nil {
		r = &specs.LinuxResources{}
	}
	if r.Memory != nil {
		r.Unified = map[string]string{"memory.oom.group": "1"}
	}
	return r
}
