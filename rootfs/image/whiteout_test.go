package image

import (
	"archive/tar"
	"os"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

// TestWhiteouts: what a layer deletes is gone in an overlay, in each order in which
// marks and entries can come.
func TestWhiteouts(t *testing.T) {
	rung.Privileged(t)
	f := func(name string) e { return e{name: name, content: "new"} }
	old := func(name string) e { return e{name: name, content: "old"} }
	lower := mustUnpack(t,
		old("file"), old("kept"), old("tree/a/b"), old("opaque/old"), old("opaque/sub/old"), old("late/old"), old("both/old"),
		old("before/old"), old("implied/old"), old("replaced"), old("dir2file/x"), old("file2dir"), old(".whatever"),
	)
	upper := mustUnpack(t,
		e{name: ".wh.file"}, e{name: ".wh.tree"}, e{name: ".wh.nothing"}, e{name: ".wh..wh.plnk"}, e{name: ".wh..wh.aufs"},
		dir("opaque", 0o755), e{name: "opaque/.wh..wh..opq"}, f("opaque/new"),
		f("late/new"), e{name: "late/.wh..wh..opq"}, // the mark behind what stays
		e{name: ".wh.before"}, dir("before", 0o700), f("before/new"), // deleted, and made anew
		dir("both", 0o755), f("both/new"), e{name: ".wh.both"}, // the other way round
		e{name: ".wh.implied"}, f("implied/new"), // without an entry of its own
		e{name: ".wh.replaced"}, f("replaced"),
		e{name: ".wh.dir2file"}, f("dir2file"), e{name: ".wh.file2dir"}, dir("file2dir", 0o755),
		f("again"), e{name: ".wh.again"}, // of lower layers only
	)
	merged := mountLayers(t, []string{upper, lower})
	for _, gone := range []string{
		"file", "tree", "nothing", "opaque/old", "opaque/sub", "late/old", "before/old", "both/old", "implied/old", "dir2file/x",
		".wh.file", ".wh..wh.plnk", "opaque/.wh..wh..opq",
	} {
		if _, err := os.Lstat(merged + "/" + gone); err == nil {
			t.Errorf("%q is there", gone)
		}
	}
	for _, name := range []string{"opaque/new", "late/new", "before/new", "both/new", "implied/new", "replaced", "dir2file", "again"} {
		wantFile(t, merged+"/"+name, "new")
	}
	wantFile(t, merged+"/kept", "old")
	wantFile(t, merged+"/.whatever", "old")
	if st := lstat(t, merged+"/before"); st.Mode&0o777 != 0o700 {
		t.Errorf("mode of a directory that was deleted and made anew: %#o; want 0700", st.Mode&0o777)
	}
	// The marks of one layer hide from a third what the two below have.
	third := mustUnpack(t, e{name: "opaque/old", content: "third", h: tar.Header{}})
	merged = mountLayers(t, []string{third, upper, lower})
	wantFile(t, merged+"/opaque/old", "third")
	wantGone(t, merged+"/opaque/sub")
}

// TestOpaqueLists: a whiteout in a directory that hides all lower ones is not seen,
// also where overlayfs would list it.
func TestOpaqueLists(t *testing.T) {
	rung.Privileged(t)
	lower := mustUnpack(t, e{name: "a/old"}, e{name: "b/old"}, e{name: "c/old"}, e{name: "d/old"})
	upper := mustUnpack(t,
		dir("a", 0o755), e{name: "a/.wh..wh..opq"}, e{name: "a/.wh.old"}, e{name: "a/new"},
		dir("b", 0o755), e{name: "b/.wh.old"}, e{name: "b/new"}, e{name: "b/.wh..wh..opq"},
		e{name: ".wh.c"}, e{name: "c/.wh.old"}, e{name: "c/new"},
		e{name: "d/.wh.old"}, e{name: "d/new"}, e{name: ".wh.d"},
	)
	merged := mountLayers(t, []string{upper, lower})
	for _, name := range []string{"a", "b", "c", "d"} {
		entries, err := os.ReadDir(merged + "/" + name)
		if err != nil || len(entries) != 1 || entries[0].Name() != "new" {
			t.Errorf("%s has %v, %v; want new alone", name, entries, err)
		}
		if err := os.RemoveAll(merged + "/" + name); err != nil {
			t.Error(err)
		}
	}
}

// TestOpaqueRoot: a layer can delete all that there was before it.
func TestOpaqueRoot(t *testing.T) {
	rung.Privileged(t)
	s := newStore(t)
	root := s.mountImage(t, s.withFiles(t,
		makeTar(t, e{name: "lowest", content: "old"}, e{name: "dir/old"}),
		makeTar(t, e{name: "low", content: "old"}),
		makeTar(t, e{name: "dir/new", content: "new"}, e{name: ".wh..wh..opq"}),
		makeTar(t, e{name: "top", content: "new"}),
	))
	for _, name := range []string{"lowest", "low", "dir/old"} {
		wantGone(t, root+"/"+name)
	}
	wantFile(t, root+"/dir/new", "new")
	wantFile(t, root+"/top", "new")
}
