package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/podrt/podrt/sandbox"
)

// networkCommand is the group of the verbs that act on networks.
func networkCommand() *command {
	return &command{
		name:  "network",
		usage: "make, remove and look at the networks of pods",
		sub: []*command{
			networkCheckCommand(),
			networkCreateCommand(),
			networkInspectCommand(),
			networkLsCommand(),
			networkPruneCommand(),
			networkReloadCommand(),
			networkRmCommand(),
		},
	}
}

const networksArgs = `<network> [<network>...]

Where "<network>" is the name of a network. Each is acted on; what failed is
reported together.`

func networkCheckCommand() *command {
	return &command{
		name:  "check",
		usage: "verify that pods are attached as they were made to be",
		args: podsArgs + `

In a network of podrt's, eth0 has its addresses and default routes, the host its
end of the link, the bridge, and the rules of network and published ports; in one
of CNI, each plugin says so of its own.`,
		min: 1, max: -1,
		run: func(e *env, args []string) error {
			ctx, stop := interruptible()
			defer stop()
			return e.eachPod(args, func(p *sandbox.Pod) error { return p.CheckNetwork(ctx) })
		},
	}
}

func networkCreateCommand() *command {
	o := sandbox.NetworkOptions{IPv4: true, IPv6: true, Isolated: true}
	return &command{
		name:  "create",
		usage: "make a bridge network",
		args: `<network>

Where "<network>" is the new network's name. It has a subnet of each family:
those that are given, else one of 10.87.0.0/16 that this host does not use, and a
random one of fd00::/8. The bridge is made with the first pod and removed with the
last. A network named in "pod create --network" that is not one of these is looked
for among the CNI configurations in /etc/cni/net.d.`,
		flags: func(f *flags) {
			f.Strings(&o.Subnets, "subnet", "addresses of the network, as `PREFIX`, one of a family; can be repeated")
			f.Strings(&o.Gateways, "gateway", "`ADDRESS` of the host in a subnet, by default the first; can be repeated")
			f.Strings(&o.Ranges, "ip-range", "part of a subnet to lease from, as `PREFIX`; can be repeated")
			f.Bool(&o.IPv4, "ipv4", "have an IPv4 subnet; --ipv4=false for none (default true)")
			f.Bool(&o.IPv6, "ipv6", "have an IPv6 subnet; --ipv6=false for none (default true, where the host has IPv6)")
			f.Int(&o.MTU, "mtu", "largest packet, in bytes (default: the kernel's, 1500)")
			f.Int(&o.VLAN, "vlan", "802.1Q id of the network's traffic on the bridge, 1 to 4094")
			f.Bool(&o.Internal, "internal", "let nothing out of the host, publish no ports")
			f.Bool(&o.Isolated, "isolate", "keep other networks of podrt's out; --isolate=false lets in those that are not isolated either (default true)")
			f.Bool(&o.NoNames, "disable-dns", "do not let pods find each other by name")
			f.Func(keyValue(&o.Labels), "label, l", "label of the network, as `KEY=VALUE`; can be repeated")
		},
		min: 1, max: 1,
		run: func(e *env, args []string) error {
			o.Name = args[0]
			n, err := e.store.CreateNetwork(o)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(e.stdout, n.Name)
			return err
		},
	}
}

func networkLsCommand() *command {
	var quiet bool
	format := "table"
	return &command{
		name:  "ls",
		usage: "list networks",
		flags: func(f *flags) {
			f.String(&format, "format, f", formatUsage)
			f.Bool(&quiet, "quiet, q", "display only names")
		},
		run: func(e *env, _ []string) error {
			if format != "table" && format != "json" {
				return errFormat
			}
			ctx, stop := interruptible()
			defer stop()
			list, err := e.store.ListNetworks(ctx)
			switch {
			case quiet:
				for _, n := range list {
					_, perr := fmt.Fprintln(e.stdout, n.Name)
					err = errors.Join(err, perr)
				}
			case format == "json":
				err = errors.Join(err, printJSON(e.stdout, list))
			default:
				w := newTable(e.stdout)
				fmt.Fprint(w, "NAME\tDRIVER\tSUBNETS\tPODS\n")
				for _, n := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\n", n.Name, n.Driver, orDash(strings.Join(n.SubnetList(), ",")), len(n.Pods))
				}
				err = errors.Join(err, w.Flush())
			}
			return err
		},
	}
}

func networkInspectCommand() *command {
	return &command{
		name:  "inspect",
		usage: "show all there is to know about networks, as a JSON array",
		args:  networksArgs,
		min:   1, max: -1,
		run: func(e *env, args []string) error {
			ctx, stop := interruptible()
			defer stop()
			out := []*sandbox.NetworkInfo{}
			var errs []error
			for _, name := range args {
				n, err := e.store.InspectNetwork(ctx, name)
				if err == nil {
					out = append(out, n)
				}
				errs = append(errs, err)
			}
			return errors.Join(append(errs, printJSON(e.stdout, out))...)
		},
	}
}

func networkRmCommand() *command {
	return &command{
		name:  "rm",
		usage: "remove networks that no pod is in",
		args:  networksArgs,
		min:   1, max: -1,
		run: func(e *env, args []string) error {
			var errs []error
			for _, name := range args {
				errs = append(errs, e.store.RemoveNetwork(name))
			}
			return errors.Join(errs...)
		},
	}
}

func networkPruneCommand() *command {
	var gc []string
	return &command{
		name:  "prune",
		usage: "remove all networks that no pod is in, and what pods that are gone have left",
		about: `The names of what is removed are printed. CNI configurations stay; their plugins
give back what they hold for pods that are gone.`,
		flags: func(f *flags) {
			f.Strings(&gc, "cni-gc", "CNI `NETWORK` that nobody but podrt uses: its plugins (of the specification 1.1) also give back what belongs to no pod of podrt's; can be repeated")
		},
		run: func(e *env, _ []string) error {
			ctx, stop := interruptible()
			defer stop()
			names, err := e.store.PruneNetworks(ctx, gc...)
			for _, name := range names {
				fmt.Fprintln(e.stdout, name)
			}
			return err
		},
	}
}

func networkReloadCommand() *command {
	return &command{
		name:  "reload",
		usage: "put back rules, and write the resolv.conf of pods in networks anew",
		about: `For when somebody has emptied nftables' ruleset, as many firewalls do when they
start, or the host's DNS servers have changed. Running pods see it at once.`,
		run: func(e *env, _ []string) error {
			ctx, stop := interruptible()
			defer stop()
			return e.store.ReloadNetworks(ctx)
		},
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
