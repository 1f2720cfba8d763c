package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/podrt/podrt/rootfs/image"
)

// imageCommand is the group of the verbs that act on images.
func imageCommand() *command {
	return &command{
		name:  "image",
		usage: "pull, make, remove and look at images",
		sub: []*command{
			imageImportCommand(),
			imageInspectCommand(),
			imageLoadCommand(),
			imageLsCommand(),
			imagePruneCommand(),
			imagePullCommand(),
			imageRmCommand(),
		},
	}
}

const imageArg = `Where "<image>" is a reference such as busybox, which is
docker.io/library/busybox:latest, a digest (sha256:…), or its first digits, if
they are no other image's.`

func imagePullCommand() *command {
	var o image.PullOptions
	verify := true
	return &command{
		name:  "pull",
		usage: "get an image from its registry",
		args: `<reference>

The image's digest is printed: what pod.json has for "image". What the store has
already is not fetched again.`,
		flags: func(f *flag.FlagSet) {
			f.StringVar(&o.Platform, "platform", "", "`OS/ARCH[/VARIANT]` to choose (default: this host's)")
			f.BoolVar(&verify, "tls-verify", true, "check the registry's certificate; --tls-verify=false takes any, and plain HTTP (default true)")
			f.StringVar(&o.AuthFile, "authfile", "", "`FILE` with the credentials, in the form of docker's config.json and podman's auth.json")
		},
		min: 1, max: 1,
		run: func(ctx context.Context, e *env, args []string) error {
			o.SkipTLSVerify = !verify
			s, err := e.images()
			if err != nil {
				return err
			}
			img, err := s.Pull(ctx, args[0], o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.stdout, img.Digest)
			return err
		},
	}
}

func imageLoadCommand() *command {
	var input, name string
	return &command{
		name:  "load",
		usage: "get images from an archive",
		about: `An archive is a directory that is an OCI image layout, or a tar, which may be
   compressed by gzip or zstd, of such a one or one that "docker save" has written.
   The digests of the images are printed, with the names that the archive gives them.`,
		flags: func(f *flag.FlagSet) {
			f.StringVar(&input, "i", "", "`FILE` or directory to read (default: standard input)")
			f.StringVar(&input, "input", "", "the same as -i `FILE`")
			f.StringVar(&name, "name", "", "`REFERENCE` for the one image that there is")
		},
		run: func(ctx context.Context, e *env, _ []string) error {
			s, err := e.images()
			if err != nil {
				return err
			}
			if input == "-" {
				input = ""
			}
			if input == "" && isTerminal(e.stdin) {
				return errNotTyped
			}
			images, err := s.Load(ctx, input, e.stdin, name)
			for _, img := range images {
				_, perr := fmt.Fprintln(e.stdout, strings.Join(append([]string{img.Digest.String()}, img.Names...), " "))
				err = errors.Join(err, perr)
			}
			return err
		},
	}
}

func imageImportCommand() *command {
	var changes stringsValue
	return &command{
		name:  "import",
		usage: "make an image of a root file system",
		args: `<rootfs.tar> <reference>

Where "<rootfs.tar>" is a tar, which may be compressed by gzip or zstd, or "-" for
standard input. The image's digest is printed.`,
		flags: func(f *flag.FlagSet) {
			f.Var(&changes, "change", "`INSTRUCTION` of a Dockerfile to configure it with: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR; can be repeated")
			f.Var(&changes, "c", "the same as --change `INSTRUCTION`")
		},
		min: 2, max: 2,
		run: func(ctx context.Context, e *env, args []string) error {
			r := e.stdin
			if args[0] == "-" && isTerminal(r) {
				return errNotTyped
			}
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				r = f
			}
			s, err := e.images()
			if err != nil {
				return err
			}
			img, err := s.Import(ctx, r, args[1], changes)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.stdout, img.Digest)
			return err
		},
	}
}

// errNotTyped is said instead of waiting for what nobody types.
var errNotTyped = errors.New("standard input is a terminal: give a file, or redirect one to it")

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// imageInfo is an image as `image ls --format json` and `image inspect` show it.
type imageInfo struct {
	Digest  string         `json:"digest"`
	Names   []string       `json:"names"`
	Size    int64          `json:"size"` // bytes, as fetched
	Created time.Time      `json:"created"`
	Config  *v1.ConfigFile `json:"config,omitempty"`
}

func newImageInfo(img *image.Image) imageInfo {
	names := img.Names
	if names == nil {
		names = []string{}
	}
	return imageInfo{Digest: img.Digest.String(), Names: names, Size: img.Size, Created: img.Config.Created.Time}
}

func imageLsCommand() *command {
	format := "table"
	var quiet bool
	return &command{
		name:  "ls",
		usage: "list images",
		flags: func(f *flag.FlagSet) {
			f.StringVar(&format, "format", "table", "`table` or json")
			f.BoolVar(&quiet, "q", false, "display only digests")
			f.BoolVar(&quiet, "quiet", false, "the same as -q")
		},
		run: func(_ context.Context, e *env, _ []string) error {
			if format != "table" && format != "json" {
				return &usageError{fmt.Errorf("--format %q: must be table or json", format)}
			}
			s, err := e.images()
			if err != nil {
				return err
			}
			images, err := s.List()
			return errors.Join(err, printImages(e.stdout, images, format, quiet))
		},
	}
}

func printImages(w io.Writer, images []image.Image, format string, quiet bool) error {
	switch {
	case quiet:
		for _, img := range images {
			if _, err := fmt.Fprintln(w, img.Digest); err != nil {
				return err
			}
		}
		return nil
	case format == "json":
		infos := []imageInfo{}
		for _, img := range images {
			infos = append(infos, newImageInfo(&img))
		}
		return printJSON(w, infos)
	}
	t := tabwriter.NewWriter(w, 1, 8, 2, ' ', 0)
	fmt.Fprint(t, "NAME\tDIGEST\tSIZE\tCREATED\n")
	for _, img := range images {
		names := img.Names
		if len(names) == 0 {
			names = []string{"-"}
		}
		for _, name := range names {
			created := "-"
			if at := img.Config.Created.Time; !at.IsZero() {
				created = at.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(t, "%s\t%s\t%.1fMB\t%s\n", name, img.Digest.Hex[:12], float64(img.Size)/1e6, created)
		}
	}
	return t.Flush()
}

func imageInspectCommand() *command {
	return &command{
		name:  "inspect",
		usage: "show all there is to know about images, as a JSON array",
		args:  "<image> [<image>...]\n\n" + imageArg,
		min:   1, max: -1,
		run: func(_ context.Context, e *env, args []string) error {
			s, err := e.images()
			if err != nil {
				return err
			}
			infos := []imageInfo{}
			var errs []error
			for _, ref := range args {
				img, err := s.Resolve(ref)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				info := newImageInfo(&img)
				info.Config = &img.Config
				infos = append(infos, info)
			}
			return errors.Join(append(errs, printJSON(e.stdout, infos))...)
		},
	}
}

func imageRmCommand() *command {
	return &command{
		name:  "rm",
		usage: "remove images that no pod uses",
		args: "<image> [<image>...]\n\n" + imageArg + ` With another name left, an image loses
this one only. At least eight digits of a digest are wanted. Each is acted on; what
failed is reported together.`,
		min: 1, max: -1,
		run: func(_ context.Context, e *env, args []string) error {
			s, err := e.images()
			if err != nil {
				return err
			}
			var errs []error
			for _, ref := range args {
				errs = append(errs, s.Remove(ref, e.store.ImageUsers))
			}
			return errors.Join(errs...)
		},
	}
}

func imagePruneCommand() *command {
	return &command{
		name:  "prune",
		usage: "remove images without a name that no pod uses, and what killed commands have left",
		about: "The digests of what is removed are printed.",
		run: func(_ context.Context, e *env, _ []string) error {
			s, err := e.images()
			if err != nil {
				return err
			}
			removed, err := s.Prune(e.store.ImageUsers)
			for _, img := range removed {
				_, perr := fmt.Fprintln(e.stdout, img.Digest)
				err = errors.Join(err, perr)
			}
			return err
		},
	}
}

// printJSON prints indented JSON, in which <, > and & stay as they are. Controls are
// escaped also where JSON need not have it, of DEL and of C1, which terminals obey.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	var escaped strings.Builder
	for _, r := range b.String() {
		if r >= 0x7f && r < 0xa0 {
			fmt.Fprintf(&escaped, `\u%04x`, r)
		} else {
			escaped.WriteRune(r)
		}
	}
	_, err := io.WriteString(w, escaped.String())
	return err
}
