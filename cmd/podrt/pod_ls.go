package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/podrt/podrt/sandbox"
)

func podLsCommand() *command {
	var quiet bool
	format := "table"
	return &command{
		name:  "ls",
		usage: "list pods",
		flags: func(f *flags) {
			f.String(&format, "format, f", formatUsage)
			f.Bool(&quiet, "quiet, q", "display only UIDs")
		},
		run: func(e *env, _ []string) error {
			if format != "table" && format != "json" {
				return errFormat
			}
			pods, err := e.store.Pods()
			list := []podLine{}
			errs := []error{err}
			for _, p := range pods {
				st, err := p.Status()
				if err != nil {
					errs = append(errs, fmt.Errorf("pod %q: %w", p.Name(), err))
					continue
				}
				list = append(list, newPodLine(st))
			}
			switch {
			case quiet:
				for _, l := range list {
					_, err := fmt.Fprintln(e.stdout, l.UID)
					errs = append(errs, err)
				}
			case format == "json":
				errs = append(errs, printJSON(e.stdout, list))
			default:
				w := newTable(e.stdout)
				fmt.Fprint(w, "UID\tNAME\tPHASE\tCREATED\tCONTAINERS\tREADY\tRESTARTS\tNETWORK\tENGINE\n")
				for _, l := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d/%d\t%s\t%d\t%s\t%s\n", l.UID, l.Name, l.Phase, l.Created.Format(time.RFC3339), l.Running, l.Containers, l.ready(), l.Restarts, l.Network, l.owner())
				}
				errs = append(errs, w.Flush())
			}
			return errors.Join(errs...)
		},
	}
}

// podLine is a pod in the output of ls.
type podLine struct {
	UID        string            `json:"uid"`
	Name       string            `json:"name"`
	Phase      sandbox.Phase     `json:"phase"`
	Created    time.Time         `json:"created"`
	Running    int               `json:"running"`
	Containers int               `json:"containers"`
	Ready      bool              `json:"ready"`
	Restarts   int               `json:"restarts"` // of all containers
	Network    string            `json:"network"`
	Engine     string            `json:"engine,omitempty"` // whose pod it is, if not podrt's
	Labels     map[string]string `json:"labels,omitempty"`
}

func newPodLine(st *sandbox.PodStatus) podLine {
	l := podLine{UID: st.UID, Name: st.Name, Phase: st.Phase, Created: st.Created, Containers: len(st.Containers), Ready: st.Ready, Network: st.Network.Mode, Labels: st.Labels}
	for _, c := range st.Containers {
		l.Restarts += c.Restarts
		if c.Role == sandbox.RoleInit {
			l.Containers-- // it is not there to run
			continue
		}
		if c.Status == string(sandbox.StatusRunning) || c.Status == string(sandbox.StatusPaused) {
			l.Running++
		}
	}
	if st.Engine != nil {
		l.Engine = st.Engine.Engine
	}
	return l
}

func (l *podLine) ready() string {
	if l.Ready {
		return "yes"
	}
	return "no"
}

func (l *podLine) owner() string { return orDash(l.Engine) }

func podInspectCommand() *command {
	return &command{
		name:  "inspect",
		usage: "show all there is to know about pods, as a JSON array",
		args:  podsArgs,
		min:   1, max: -1,
		run: func(e *env, args []string) error {
			out := []*sandbox.PodStatus{}
			err := e.eachPod(args, func(p *sandbox.Pod) error {
				st, err := p.Inspect()
				if st != nil {
					out = append(out, st)
				}
				return err
			})
			return errors.Join(printJSON(e.stdout, out), err)
		},
	}
}

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 1, 3, ' ', 0)
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
