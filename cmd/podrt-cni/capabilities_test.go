package main

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/podrt/podrt/netsetup"
)

func TestCapabilityArgs(t *testing.T) {
	wishes := netsetup.CNIAttach{
		UID: "u1", Name: "web", Namespace: "prod", Network: "n",
		IPs: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::3")},
		MAC: "02:00:00:00:00:01",
		Ports: []netsetup.Port{
			{HostPort: 8080, ContainerPort: 80, Protocol: netsetup.TCP},
			{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 53, ContainerPort: 5353, Protocol: netsetup.UDP},
		},
		Bandwidth: netsetup.Bandwidth{Egress: 1_000_000_000_000},
		DNS:       netsetup.DNS{Servers: []string{"9.9.9.9"}, Searches: []string{"a.example"}, Options: []string{"ndots:2"}},
	}
	all, err := parseList([]byte(`{"cniVersion":"1.0.0","name":"n","plugins":[
		{"type":"a","capabilities":{"ips":true,"mac":true}},
		{"type":"b","capabilities":{"portMappings":true,"bandwidth":true,"dns":true}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := capabilityArgs(all, wishes)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"bandwidth":{"egressRate":1000000000000,"egressBurst":2147483647},` +
		`"dns":{"servers":["9.9.9.9"],"searches":["a.example"],"options":["ndots:2"]},` +
		`"ips":["10.1.2.3","fd00::3"],"mac":"02:00:00:00:00:01",` +
		`"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"},{"hostPort":53,"containerPort":5353,"protocol":"udp","hostIP":"127.0.0.1"}]}`
	if string(text) != want {
		t.Errorf("arguments\n%s\nwant\n%s", text, want)
	}

	none, err := parseList([]byte(`{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"a","capabilities":{"portMappings":false}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = capabilityArgs(none, wishes)
	wantError(t, err,
		`CNI network "n" cannot publish ports: none of its plugins declares the capability "portMappings"`,
		`CNI network "n" cannot limit bandwidth: none of its plugins declares the capability "bandwidth"`,
		`CNI network "n" cannot give a wanted IP address: none of its plugins declares the capability "ips"`,
		`CNI network "n" cannot give a wanted MAC address: none of its plugins declares the capability "mac"`)
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("error %v is not errors.ErrUnsupported", err)
	}
	// Name servers are podrt's to give.
	if _, err := capabilityArgs(none, netsetup.CNIAttach{DNS: wishes.DNS}); err != nil {
		t.Error(err)
	}
	if args, err := capabilityArgs(all, netsetup.CNIAttach{}); err != nil || len(args) != 0 {
		t.Errorf("arguments without a wish: %v, %v", args, err)
	}

	var words []string
	for _, kv := range cniArgs(wishes) {
		words = append(words, kv[0]+"="+kv[1])
	}
	const args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=u1;K8S_POD_UID=u1"
	if got := strings.Join(words, ";"); got != args {
		t.Errorf("CNI_ARGS %q; want %q", got, args)
	}
}
