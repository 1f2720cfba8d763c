package manifest

import (
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/podrt/podrt/sandbox"
)

// File is one below the bundle's directory, or a directory. It belongs to root.
type File struct {
	Path string // relative, clean
	Data []byte
	Mode fs.FileMode // fs.ModeDir, the permissions and fs.ModeSetgid
	GID  uint32
}

// volumesDir is the directory of the bundle with the volumes of files.
const volumesDir = "volumes"

const defaultFileMode = 0o644

// sources counts the fields of a struct of pointers that are given.
func sources[T any](of *T) (n int) {
	v := reflect.ValueOf(of).Elem()
	for i := range v.NumField() {
		if !v.Field(i).IsNil() {
			n++
		}
	}
	return n
}

func (c *compiler) volumes() {
	for i := range c.pod.Spec.Volumes {
		v := &c.pod.Spec.Volumes[i]
		c.out.Spec.Volumes = append(c.out.Spec.Volumes, c.volume(index("spec.volumes", i), v))
	}
}

func (c *compiler) volume(at string, v *corev1.Volume) sandbox.PodVolume {
	out := sandbox.PodVolume{Name: v.Name}
	switch {
	case v.EmptyDir != nil:
		out.EmptyDir = c.emptyDir(at+".emptyDir", v.EmptyDir)
	case v.HostPath != nil:
		out.HostPath = c.hostPath(at+".hostPath", v.HostPath)
	default:
		t := &tree{c: c, at: at, files: map[string]*File{}}
		switch {
		case v.ConfigMap != nil:
			t.at += ".configMap"
			t.defaultMode(v.ConfigMap.DefaultMode)
			t.configMap(t.at, &v.ConfigMap.LocalObjectReference, v.ConfigMap.Items, v.ConfigMap.Optional)
		case v.Secret != nil:
			t.at += ".secret"
			t.defaultMode(v.Secret.DefaultMode)
			t.secret(t.at+".secretName", t.at, v.Secret.SecretName, v.Secret.Items, v.Secret.Optional)
		case v.DownwardAPI != nil:
			t.at += ".downwardAPI"
			t.defaultMode(v.DownwardAPI.DefaultMode)
			t.downward(t.at, v.DownwardAPI.Items)
		case v.Projected != nil:
			t.at += ".projected"
			t.projected(v.Projected)
		}
		out.BundlePath = &sandbox.PodBundlePath{Path: t.write(v.Name)}
	}
	return out
}

func (c *compiler) emptyDir(at string, e *corev1.EmptyDirVolumeSource) *sandbox.PodEmptyDir {
	out := &sandbox.PodEmptyDir{Medium: string(e.Medium), GID: c.fsGroup()}
	c.oneOf(at+".medium", out.Medium, "", "Memory")
	size := int64(0)
	if e.SizeLimit != nil {
		if c.bounded(at+".sizeLimit", e.SizeLimit, maxAmount("")) {
			size = e.SizeLimit.Value()
		}
		if size > 0 && out.Medium == "" {
			c.addf(at+".sizeLimit", `%s: needs medium "Memory"; on disk nothing would enforce it`, e.SizeLimit)
		}
	}
	if out.Medium == "Memory" {
		// As the kubelet sizes it: never more than what the pod may have.
		limit := c.resources.limits[corev1.ResourceMemory]
		if size == 0 || limit > 0 && limit < size {
			size = limit
		}
		out.SizeLimit = size
	}
	return out
}

func (c *compiler) hostPath(at string, h *corev1.HostPathVolumeSource) *sandbox.PodHostPath {
	out := &sandbox.PodHostPath{Path: path.Clean(h.Path)}
	if !path.IsAbs(h.Path) {
		c.addf(at+".path", "%s: must be an absolute path", quote(h.Path))
	} else if slices.Contains(splitPath(h.Path), "..") {
		c.addf(at+".path", `%s: must not contain ".."`, quote(h.Path))
	} else if strings.Contains(h.Path, "\x00") {
		c.addf(at+".path", "%s: "+zeroByte, quote(h.Path))
	}
	if h.Type != nil {
		out.Type = string(*h.Type)
		c.oneOf(at+".type", out.Type, "", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice")
	}
	return out
}

// fsGroup is the group that the pod's volumes belong to; 0 if it has none.
func (c *compiler) fsGroup() uint32 {
	if g := c.pod.Spec.SecurityContext.FSGroup; g != nil {
		return uint32(*g)
	}
	return 0
}

// tree is a volume of files.
type tree struct {
	c     *compiler
	at    string // path of the source
	mode  int32
	files map[string]*File // by path in the volume
}

func (t *tree) defaultMode(mode *int32) {
	t.mode = t.modeOf(t.at+".defaultMode", mode, defaultFileMode)
}

// modeOf are the permissions that a field says.
func (t *tree) modeOf(at string, mode *int32, def int32) int32 {
	switch {
	case mode == nil:
		return def
	case *mode < 0 || *mode > 0o777:
		t.c.addf(at, "%d: must be 0 to 511, which is 0777", *mode)
		return def
	}
	return *mode
}

func (t *tree) add(at, name string, data []byte, mode *int32) {
	if why := badFile(name); why != "" {
		t.c.addf(at+".path", "%s: %s", quote(name), why)
		return
	}
	name = path.Clean(name)
	perm := fs.FileMode(t.modeOf(at+".mode", mode, t.mode))
	gid := t.c.fsGroup()
	if gid != 0 {
		perm |= 0o440 // the kubelet's SetVolumeOwnership, of what is read-only
	}
	if !t.c.charge(at, len(data)) {
		return
	}
	// As for a kubelet the last one counts.
	t.files[name] = &File{Data: data, Mode: perm, GID: gid}
}

// badFile says what is wrong with the path of a file in a volume; "" if nothing is.
func badFile(name string) string {
	switch why := badRelative(name); {
	case why != "":
		return why
	case path.Clean(name) == ".":
		return "must name a file"
	case strings.HasPrefix(path.Clean(name), ".."):
		return `must not begin with ".."`
	case slices.ContainsFunc(splitPath(name), func(s string) bool { return len(s) > unix.NAME_MAX }) || len(name) >= unix.PathMax/2:
		return "is too long"
	}
	return ""
}

// items adds what of a ConfigMap or Secret is to be there: all, or the items.
func (t *tree) items(at, kind, name string, data map[string][]byte, items []corev1.KeyToPath, optional *bool) {
	if len(items) == 0 {
		for k, v := range data {
			t.add(at, k, v, nil)
		}
		return
	}
	for i, item := range items {
		at := index(at+".items", i)
		v, ok := data[item.Key]
		switch {
		case ok:
			t.add(at, item.Path, v, item.Mode)
		case !on(optional):
			t.c.addf(at+".key", "%s: the %s %q has no such key", quote(item.Key), kind, name)
		}
	}
}

func (t *tree) configMap(at string, ref *corev1.LocalObjectReference, items []corev1.KeyToPath, optional *bool) {
	m := t.c.findConfigMap(at+".name", ref.Name, optional)
	if m == nil {
		return
	}
	data := maps.Clone(m.BinaryData)
	if data == nil {
		data = make(map[string][]byte, len(m.Data))
	}
	for k, v := range m.Data {
		data[k] = []byte(v)
	}
	t.items(at, "ConfigMap", ref.Name, data, items, optional)
}

// secret adds a Secret, which the field at nameAt names.
func (t *tree) secret(nameAt, at, name string, items []corev1.KeyToPath, optional *bool) {
	if s := t.c.findSecret(nameAt, name, optional); s != nil {
		t.items(at, "Secret", name, s.Data, items, optional)
	}
}

func (t *tree) downward(at string, items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		f, at := &items[i], index(at+".items", i)
		var value string
		ok := false
		switch {
		case f.FieldRef != nil && f.ResourceFieldRef != nil, f.FieldRef == nil && f.ResourceFieldRef == nil:
			t.c.addf(at, "must have one of fieldRef and resourceFieldRef")
		case f.FieldRef != nil:
			value, ok = t.c.fieldRef(at+".fieldRef", f.FieldRef, false)
		default:
			value, ok = t.c.resourceFieldRef(at+".resourceFieldRef", nil, f.ResourceFieldRef)
		}
		if ok {
			t.add(at, f.Path, []byte(value), f.Mode)
		}
	}
}

func (t *tree) projected(p *corev1.ProjectedVolumeSource) {
	t.defaultMode(p.DefaultMode)
	for i := range p.Sources {
		s, at := &p.Sources[i], index(t.at+".sources", i)
		if n := sources(s); n != 1 {
			t.c.addf(at, "must have one source, not %d", n)
			continue
		}
		switch {
		case s.ConfigMap != nil:
			t.configMap(at+".configMap", &s.ConfigMap.LocalObjectReference, s.ConfigMap.Items, s.ConfigMap.Optional)
		case s.Secret != nil:
			t.secret(at+".secret.name", at+".secret", s.Secret.Name, s.Secret.Items, s.Secret.Optional)
		case s.DownwardAPI != nil:
			t.downward(at+".downwardAPI", s.DownwardAPI.Items)
		}
	}
}

// write adds the files to the bundle and returns the path of the volume in it.
func (t *tree) write(volume string) string {
	dir := File{Path: path.Join(volumesDir, volume), Mode: fs.ModeDir | 0o755, GID: t.c.fsGroup()}
	if dir.GID != 0 {
		dir.Mode |= fs.ModeSetgid
	}
	root := dir.Path
	t.c.out.Files = append(t.c.out.Files, dir)
	made := map[string]bool{".": true}
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		for _, parent := range parents(name) {
			if t.files[parent] != nil {
				t.c.addf(t.at, "%s: is both a file and a directory", quote(parent))
				return root
			}
			if !made[parent] {
				dir.Path = path.Join(root, parent)
				t.c.out.Files = append(t.c.out.Files, dir)
				made[parent] = true
			}
		}
		f := *t.files[name]
		f.Path = path.Join(root, name)
		t.c.out.Files = append(t.c.out.Files, f)
	}
	return root
}

// parents are the directories above a relative path, the uppermost first.
func parents(name string) []string {
	var out []string
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		out = append([]string{dir}, out...)
	}
	return out
}

// cleanSub is a subPath as pod.json has it; all of the volume is none.
func cleanSub(s string) string {
	if s = path.Clean(s); s == "." {
		return ""
	}
	return s
}

func splitPath(s string) []string { return strings.Split(s, "/") }
