package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/podrt/podrt/sandbox"
)

func podStatsCommand() *command {
	format := "table"
	return &command{
		name:  "stats",
		usage: "show what pods and their containers use, once",
		args: `[<pod>...]

Without a pod, all are shown. CPU is the time used so far.`,
		flags: func(f *flags) { f.String(&format, "format, f", formatUsage) },
		max:   -1,
		run: func(e *env, args []string) error {
			if format != "table" && format != "json" {
				return errFormat
			}
			all := []*sandbox.Stats{}
			add := func(p *sandbox.Pod) error {
				s, err := p.Stats()
				if err == nil {
					all = append(all, s)
				}
				return err
			}
			var errs []error
			if len(args) > 0 {
				errs = append(errs, e.eachPod(args, add))
			} else {
				ctx, stop := interruptible()
				defer stop()
				pods, err := e.store.Pods()
				errs = append(errs, err)
				for _, p := range pods {
					if err := add(p); err != nil && !p.Removed(ctx) {
						errs = append(errs, err)
					}
				}
			}
			if format == "json" {
				return errors.Join(append(errs, printJSON(e.stdout, all))...)
			}
			w := newTable(e.stdout)
			fmt.Fprint(w, "POD\tCONTAINER\tCPU\tMEMORY\tLIMIT\tPIDS\tREAD\tWRITTEN\tRECEIVED\tSENT\n")
			for _, s := range all {
				fmt.Fprintln(w, statsLine(s.Name, "", s.Pod)+trafficColumns(s.Network))
				for _, name := range slices.Sorted(maps.Keys(s.Containers)) {
					fmt.Fprintln(w, statsLine(s.Name, name, s.Containers[name])+trafficColumns(nil))
				}
			}
			return errors.Join(append(errs, w.Flush())...)
		},
	}
}
