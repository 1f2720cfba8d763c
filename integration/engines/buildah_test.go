package engines

import (
	"strings"
	"testing"

	"github.com/podrt/podrt/integration/rung"
)

func TestBuildah(t *testing.T) {
	rung.Privileged(t)
	compare(t, newBuildah,
		operation[*buildah]{name: "run", do: func(x *try, b *buildah) {
			c := b.from(x)
			if got := b.run(x, c, "sh", "-c", "echo built > /tmp/file; cat /tmp/file").out; got != "built" {
				x.Errorf("run: %q; want built", got)
			}
			// What one command writes, the next one finds.
			if got := b.run(x, c, "cat", "/tmp/file").out; got != "built" {
				x.Errorf("run once more: %q; want built", got)
			}
		}},
		operation[*buildah]{name: "run-exit-codes", do: func(x *try, b *buildah) {
			c := b.from(x)
			if r := b.run(x, c, "sh", "-c", "exit 7"); r.code != 7 {
				x.Errorf("%s; want exit code 7", r)
			}
			if r := b.run(x, c, "/nowhere"); r.code == 0 || !strings.Contains(r.stderr, "no such file or directory") {
				x.Errorf("%s; want it not to be found", r)
			}
		}},
		operation[*buildah]{name: "run-options", do: func(x *try, b *buildah) {
			c := b.from(x)
			dir := b.path("volume")
			b.write(x, "volume/file", "from the host")
			r := b.lab.try(x, command{args: b.args("run", "--volume", dir+":/data:ro", "--user", "65534",
				"--cap-drop", "all", "--hostname", "named", "--env", "SAID=yes", "--workingdir", "/tmp", c, "--",
				"sh", "-c", "cat /data/file; echo; id -u; hostname; echo $SAID; pwd; grep CapEff /proc/self/status")})
			if want := "from the host\n65534\nnamed\nyes\n/tmp\nCapEff:\t0000000000000000"; r.code != 0 || r.out != want {
				x.Errorf("%s; want %q", r, want)
			}
		}},
		operation[*buildah]{name: "run-tty", do: func(x *try, b *buildah) {
			c := b.from(x)
			code, seen := b.onTerminal(x, b.args("run", "--tty", c, "--", "sh"), func(tty *terminal) {
				tty.await("# ")
				tty.enter("tty; exit 4")
				tty.await("/dev/pts/0")
			})
			if code != 4 {
				x.Errorf("run --tty: exit code %d, seen %q; want 4", code, seen)
			}
		}},
		operation[*buildah]{name: "bud", do: func(x *try, b *buildah) {
			b.write(x, "context/Containerfile", "FROM "+podmanImage+`
WORKDIR /tmp
COPY input /tmp/input
RUN tr a-z A-Z < /tmp/input > /tmp/output
USER 65534
RUN id -u > /tmp/user
ENTRYPOINT ["cat", "/tmp/output"]
`)
			b.write(x, "context/input", "written by run")
			b.do(x, b.args("bud", "--quiet", "--tag", "localhost/built", b.path("context"))...)
			c := b.do(x, "buildah", "from", "localhost/built")
			b.atEnd(x, "buildah", "rm", c)
			if got := b.run(x, c, "cat", "/tmp/output", "/tmp/user").out; got != "WRITTEN BY RUN65534" {
				x.Errorf("the image holds %q; want what RUN wrote", got)
			}
		}},
		operation[*buildah]{name: "bud-fails", do: func(x *try, b *buildah) {
			b.write(x, "bad/Containerfile", "FROM "+podmanImage+"\nRUN exit 9\n")
			r := b.lab.try(x, command{args: b.args("bud", b.path("bad"))})
			if r.code != 9 || !strings.Contains(r.stderr, "exit status 9") {
				x.Errorf("%s; want the exit code of RUN", r)
			}
		}},
	)
}

// buildah is buildah with state of its own.
type buildah struct{ *lab }

func newBuildah(x *try, l *lab) *buildah {
	configureContainers(x, l)
	b := &buildah{l}
	c := b.do(x, "buildah", "from", "scratch")
	root := b.write(x, "image.tar", "")
	image, err := imageTar()
	x.must(err)
	b.write(x, "image.tar", string(image))
	b.do(x, "buildah", "add", "--quiet", c, root)
	b.do(x, "buildah", "config", "--env", imagePath, c)
	b.do(x, "buildah", "commit", "--quiet", "--rm", c, podmanImage)
	return b
}

// from makes a working container that ends with the operation.
func (b *buildah) from(x *try) string {
	c := b.do(x, "buildah", "from", podmanImage)
	b.atEnd(x, "buildah", "rm", c)
	return c
}

// args are those of a verb that calls the runtime.
func (b *buildah) args(verb string, args ...string) []string {
	return append([]string{"buildah", verb, "--isolation", "oci", "--runtime", b.runtime.path, "--network", "none"}, args...)
}

// run runs a command in a working container, by way of the runtime.
func (b *buildah) run(x *try, c string, args ...string) result {
	return b.lab.try(x, command{args: append(b.args("run", c, "--"), args...)})
}
