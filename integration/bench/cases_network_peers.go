package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/podrt/podrt/integration/bench/count"
)

// Configurations of the plugins, without what is common to all.
const (
	bridgeConf = `"bridge": "` + cniBridge + `", "isGateway": true, "ipMasq": true, "hairpinMode": true,
		"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.92.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}`
	portmapConf = `"capabilities": {"portMappings": true}`
)

func pluginConf(kind, rest string) string { return fmt.Sprintf(`{"type": %q, %s}`, kind, rest) }

// place is an addition by CNI's plugins, which are executed by nobody but this.
type place struct {
	id, netns, port string
	result          json.RawMessage // of the bridge plugin, from the addition
}

// plugins adds the plugins alone: bridge, with host-local, and portmap, as
// libcni would execute them.
func (n *networkLab) plugins(st *stage, name string) error {
	if !exists(filepath.Join(cniBinDir, "portmap")) {
		return errors.New("the plugins are missing: apt-get install containernetworking-plugins")
	}
	netns, err := n.netns("bench-plugins")
	if err != nil {
		return err
	}
	p := &place{id: "plugins-alone", netns: netns, port: n.hostPort()}
	st.subjects = append(st.subjects, subject{name, func() ([]lap, error) {
		return upDown(
			func() (usage, error) { return n.run(p, "ADD", "bridge", "portmap") },
			func() (usage, error) { time.Sleep(n.pause); return n.run(p, "DEL", "portmap", "bridge") })
	}})
	return nil
}

func (n *networkLab) run(p *place, verb string, kinds ...string) (sum usage, _ error) {
	for _, kind := range kinds {
		conf := bridgeConf
		if kind == "portmap" {
			conf = fmt.Sprintf(`"runtimeConfig": {"portMappings": [{"hostPort": %s, "containerPort": 80, "protocol": "tcp"}]}`, p.port)
		}
		if verb == "DEL" || kind == "portmap" {
			conf += `, "prevResult": ` + string(p.result)
		}
		u, out, err := n.plugin(p, verb, kind, `{"cniVersion": "1.0.0", "name": "bench-alone", "type": "`+kind+`", `+conf+`}`)
		if err != nil {
			return sum, err
		}
		if verb == "ADD" {
			p.result = out
		}
		sum.add(u)
	}
	return sum, nil
}

// plugin executes one, as inTurn does a command.
func (n *networkLab) plugin(p *place, verb, kind, conf string) (u usage, _ []byte, _ error) {
	cmd := exec.Command(filepath.Join(cniBinDir, kind))
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+verb, "CNI_CONTAINERID="+p.id, "CNI_NETNS="+p.netns, "CNI_IFNAME=eth0", "CNI_PATH="+cniBinDir)
	in, err := os.CreateTemp(n.dir, "conf-")
	if err != nil {
		return u, nil, err
	}
	defer in.Close()
	if _, err := in.WriteString(conf); err != nil {
		return u, nil, err
	}
	if _, err := in.Seek(0, 0); err != nil {
		return u, nil, err
	}
	if err := n.out.Truncate(0); err != nil {
		return u, nil, err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, n.out, n.out
	cpu, err := cpuTime()
	if err != nil {
		return u, nil, err
	}
	start := time.Now()
	err = cmd.Run()
	u.wall = time.Since(start)
	now, cpuErr := cpuTime()
	u.cpu, u.faults = now-cpu, count.Faults(cmd.ProcessState)
	out := []byte(n.output())
	if err = errors.Join(err, cpuErr, os.Remove(in.Name())); err != nil {
		return u, nil, fmt.Errorf("%s %s: %w: %s", kind, verb, err, out)
	}
	return u, out, nil
}

// netavarkPath finds podman's program for networks: installed, or unpacked.
func (n *networkLab) netavarkPath() (string, error) {
	for _, path := range []string{"/usr/lib/podman/netavark", filepath.Join(n.root, "bin/tools/netavark")} {
		if exists(path) {
			return path, nil
		}
	}
	return "", errors.New("netavark is missing: make bin/tools/netavark")
}

// netavark adds netavark alone, as podman would execute it.
func (n *networkLab) netavark(st *stage, name string) error {
	path, err := n.netavarkPath()
	if err != nil {
		return err
	}
	do := func(verb, id, netns, ip, port string) (command, error) {
		conf := filepath.Join(n.dir, "netavark-"+id+".json")
		text := fmt.Sprintf(`{"container_id": %q, "container_name": %[1]q,
			"port_mappings": [{"host_ip": "", "host_port": %s, "container_port": 80, "protocol": "tcp", "range": 1}],
			"networks": {"bench": {"interface_name": "eth0", "static_ips": [%q]}},
			"network_info": {"bench": {"name": "bench", "id": "5e1a30aa94b1f9bd8ac2ce7b3a2dd3ae9b1a5d2c4d6c8f2a3e4b5c6d7e8f9a0b", "driver": "bridge",
				"network_interface": "nv-bench0", "subnets": [{"subnet": "10.93.0.0/16", "gateway": "10.93.0.1"}],
				"ipv6_enabled": false, "internal": false, "dns_enabled": false, "ipam_options": {"driver": "host-local"}}}}`, id, port, ip)
		err := os.WriteFile(conf, []byte(text), 0o600)
		return command{path: path, args: []string{"--config", n.dir, "--file", conf, verb, netns}}, err
	}
	both := func(id, ip string) (up, down command, err error) {
		netns, err := n.netns("bench-" + id)
		if err != nil {
			return up, down, err
		}
		port := n.hostPort()
		if up, err = do("setup", id, netns, ip, port); err != nil {
			return up, down, err
		}
		down, err = do("teardown", id, netns, ip, port)
		return up, down, err
	}
	if n.beside {
		up, down, err := both("neighbour", "10.93.0.9")
		if err != nil {
			return err
		}
		if _, err := n.inTurn(up); err != nil {
			return err
		}
		n.atEnd(func() error { _, err := n.inTurn(down); return err })
	}
	up, down, err := both("netavark", "10.93.0.10")
	if err != nil {
		return err
	}
	st.subjects = append(st.subjects, subject{name, func() ([]lap, error) { return n.upAndDown(up, down) }})
	return nil
}

// podmans adds podman with netavark, with CNI, and without a network: what it
// takes for its infra container alone.
func (n *networkLab) podmans(st *stage) {
	backends := []string{"netavark", "cni", ""}
	fail := func(err error) {
		for _, b := range backends {
			st.subjects = append(st.subjects, subject{podmanName(b), func() ([]lap, error) { return nil, err }})
		}
	}
	p, err := n.podman(n.rootfs())
	if err != nil {
		fail(err)
		return
	}
	n.atEnd(p.close)
	// Its reset removes all networks that it knows, those of CNI's too.
	none := filepath.Join(n.dir, "none")
	if err := os.MkdirAll(none, 0o755); err != nil {
		fail(err)
		return
	}
	p.global = append(p.global, "--network-config-dir", none)
	for _, b := range backends {
		n.optional(st, podmanName(b), func(st *stage, name string) error { return n.podmanWith(st, p, name, b) })
	}
}

func podmanName(backend string) string {
	switch backend {
	case "":
		return "podman, no network"
	case "cni":
		return "podman, CNI"
	}
	return "podman, " + backend
}

func (n *networkLab) podmanWith(st *stage, base *podman, name, backend string) error {
	p := *base
	p.global = slices.Clone(base.global)
	create := []string{
		"pod", "create", "--share-parent=false", "--infra-image", podmanImage, "--infra-command", forever[0] + " " + forever[1],
	}
	if backend == "" {
		create = append(create, "--network", "none")
	} else {
		conf := podmanContainers + "[network]\nnetwork_backend=\"" + backend + "\"\n"
		if backend == "netavark" {
			path, err := n.netavarkPath()
			if err != nil {
				return err
			}
			conf += "[engine]\nhelper_binaries_dir=[\"" + filepath.Dir(path) + "\", \"/usr/lib/podman\"]\n"
		}
		file := filepath.Join(n.dir, backend+".conf")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			return err
		}
		networks := filepath.Join(n.dir, backend)
		if err := os.MkdirAll(networks, 0o755); err != nil {
			return err
		}
		p.env = []string{"CONTAINERS_CONF=" + file}
		p.global[len(p.global)-1] = networks
		if _, err := n.inTurn(p.do("network", "create", "--disable-dns", "bench-"+backend)); err != nil {
			return err
		}
		create = append(create, "--network", "bench-"+backend, "--publish")
	}
	pod := func(id string) []command {
		args := create
		if backend != "" {
			args = append(args[:len(args):len(args)], n.hostPort()+":80")
		}
		return []command{p.do(append(args[:len(args):len(args)], "--name", id)...), p.do("pod", "start", id)}
	}
	down := func(id string) command { return p.do("pod", "rm", "--force", "--time", "0", id) }
	if n.beside && backend != "" {
		id := "neighbour-" + backend
		if _, err := n.inTurn(pod(id)...); err != nil {
			return err
		}
		n.atEnd(func() error { _, err := n.inTurn(down(id)); return err })
	}
	up := pod("network-" + backend)
	st.subjects = append(st.subjects, subject{name, func() ([]lap, error) {
		return upDown(
			func() (usage, error) { return n.inTurn(up...) },
			func() (usage, error) { time.Sleep(n.pause); return n.inTurn(down("network-" + backend)) })
	}})
	return nil
}
