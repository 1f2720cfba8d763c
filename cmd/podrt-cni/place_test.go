package main

import (
	"fmt"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
)

// Results as plugins print them, and what is read from them.
func TestResults(t *testing.T) {
	for _, tt := range []struct{ name, result, want string }{
		{
			"bridge",
			`{"cniVersion":"1.0.0","interfaces":[{"name":"cni0","mac":"a"},{"name":"veth1","mac":"b"},{"name":"eth0","mac":"c","sandbox":"/ns"}],
			"ips":[{"interface":2,"address":"10.1.0.2/24","gateway":"10.1.0.1"},{"interface":2,"address":"fd00::2/64","gateway":"fd00::1"}],
			"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0"},{"dst":"192.168.0.0/16","gw":"10.1.0.9"}]}`,
			"2 [10.1.0.2/24 fd00::2/64] [10.1.0.1 fd00::1]",
		},
		{"own gateway", `{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/ns"}],"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1"}],
			"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.254"}]}`, "0 [10.1.0.2/24] [10.1.0.254]"},
		{"no default route", `{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/ns"}],"ips":[{"address":"10.1.0.2/24","gateway":"10.1.0.1"}]}`, "0 [10.1.0.2/24] []"},
		{"two interfaces", `{"cniVersion":"1.0.0","interfaces":[{"name":"lo","sandbox":"/ns"},{"name":"eth0","sandbox":"/ns"}],
			"ips":[{"interface":0,"address":"127.0.0.1/8"},{"interface":1,"address":"10.1.0.2/24"}]}`, "1 [10.1.0.2/24] []"},
		{"only lo", `{"cniVersion":"1.0.0","interfaces":[{"name":"lo","sandbox":"/ns"}],"ips":[{"interface":0,"address":"127.0.0.1/8"}]}`, "0 [127.0.0.1/8] []"},
		{"none told", `{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.2/24"}]}`, "-1 [10.1.0.2/24] []"},
		{"nothing", `{"cniVersion":"1.0.0"}`, "-1 [] []"},
		{"nulls", `{"cniVersion":"1.0.0","interfaces":[null,{"name":"eth0","sandbox":"/ns"}],"ips":[null],"routes":[null]}`, "1 [] []"},
		{"index of nothing", `{"cniVersion":"1.0.0","interfaces":[],"ips":[{"interface":7,"address":"10.1.0.2/24"}]}`, "-1 [] []"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := current.NewResult([]byte(tt.result))
			if err != nil {
				t.Fatal(err)
			}
			result := r.(*current.Result)
			index := podInterface(result.Interfaces)
			addrs, err := addresses(result, index)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(index, addrs, gateways(result)); got != tt.want {
				t.Errorf("%s; want %s", got, tt.want)
			}
		})
	}
}
