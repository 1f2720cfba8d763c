package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/podrt/podrt/netsetup"
)

// call is how the test's plugin was executed.
type call struct {
	Command, ContainerID, Netns, IfName, Args string
	Conf                                      pluginConf
}

// pluginConf is the configuration of the test's plugin.
type pluginConf struct {
	CNIVersion    string          `json:"cniVersion"`
	Name          string          `json:"name"`
	Dir           string          `json:"dir"`
	RuntimeConfig json.RawMessage `json:"runtimeConfig,omitempty"`
	PrevResult    json.RawMessage `json:"prevResult,omitempty"`
	Valid         json.RawMessage `json:"cni.dev/valid-attachments,omitempty"`
}

// runPlugin is a plugin that changes nothing. It notes its call in Dir/calls, and
// does what the file Dir/COMMAND says: "fail", "die", "rubbish", "flood", "null" or "hang".
// Before it hangs it writes a line to the FIFO Dir/hanging.
func runPlugin() int {
	command := os.Getenv("CNI_COMMAND")
	if command == "LINGER" {
		hang()
	}
	if command == "VERSION" {
		fmt.Println(`{"cniVersion":"1.1.0","supportedVersions":["0.4.0","1.0.0","1.1.0"]}`)
		return 0
	}
	c := call{
		Command: command, ContainerID: os.Getenv("CNI_CONTAINERID"), Netns: os.Getenv("CNI_NETNS"),
		IfName: os.Getenv("CNI_IFNAME"), Args: os.Getenv("CNI_ARGS"),
	}
	if err := json.NewDecoder(os.Stdin).Decode(&c.Conf); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 9
	}
	if err := note(c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 9
	}
	behaviour, _ := os.ReadFile(filepath.Join(c.Conf.Dir, command))
	switch string(behaviour) {
	case "fail":
		fmt.Printf(`{"cniVersion":%q,"code":50,"msg":"no luck","details":"today"}`, c.Conf.CNIVersion)
		return 1
	case "die":
		fmt.Fprintln(os.Stderr, "last words")
		return 3
	case "rubbish":
		fmt.Println("rubbish")
		return 0
	case "flood":
		fmt.Println(strings.Repeat(" ", maxOutput) + "{}")
		return 0
	case "null":
		fmt.Println("null")
		return 0
	case "hang":
		// One of its own that leaves the process group, as daemons do.
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CNI_COMMAND=LINGER")
		cmd.Stdout = os.Stdout
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 9
		}
		if f, err := os.OpenFile(filepath.Join(c.Conf.Dir, "hanging"), os.O_WRONLY, 0); err == nil {
			fmt.Fprintf(f, "%d %d %d\n", os.Getppid(), os.Getpid(), cmd.Process.Pid)
			f.Close()
		}
		hang()
	}
	if command == "ADD" {
		fmt.Println(string(c.Conf.PrevResult))
	}
	return 0
}

// hang returns when the process is killed.
func hang() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	<-c
}

func note(c call) error {
	f, err := os.OpenFile(filepath.Join(c.Conf.Dir, "calls"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return json.NewEncoder(f).Encode(c)
}

// calls returns how the plugin of dir was executed with one of the commands.
func calls(t *testing.T, dir string, commands ...string) []call {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "calls"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []call
	for dec := json.NewDecoder(f); ; {
		var c call
		if err := dec.Decode(&c); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.Join(commands, " "), c.Command) {
			all = append(all, c)
		}
	}
}

// runCaller attaches a pod as the JSON on its standard input says.
func runCaller() int {
	var in struct {
		CNI    netsetup.CNI
		Attach netsetup.CNIAttach
	}
	err := json.NewDecoder(os.Stdin).Decode(&in)
	if err == nil {
		_, _, err = in.CNI.Add(context.Background(), in.Attach)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
