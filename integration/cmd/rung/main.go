// Command rung runs a test binary, or any command, on a rung of the test
// ladder:
//
//	rung native BIN ARGS…       private namespaces of this host
//	rung vm [flags] BIN ARGS…   a VM of Debian's kernel
//
// Both suit go test: go test -exec "$PWD/bin/rung native" ./cgroups
package main

import (
	"errors"
	"fmt"
	"os"
)

const usage = `usage:
  rung native BIN ARGS...
  rung vm [flags] BIN ARGS...   (rung vm -h lists the flags)
  rung fetch [SET]              get the VM's parts: backports or stable
`

// failed is the exit code when the rung itself fails, not what runs on it.
const failed = 125

func main() {
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "rung:", err)
		os.Exit(failed)
	}
	os.Exit(code)
}

var errUsage = errors.New("want a rung and a command\n" + usage)

func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 0, errUsage
	}
	switch verb, args := args[0], args[1:]; verb {
	case "vm":
		return inVM(args)
	case "fetch":
		return 0, fetch(args)
	case "native":
		return native(args)
	case nativeInitArg:
		return nativeInit(args)
	case "-h", "-help", "--help", "help":
		fmt.Print(usage)
		return 0, nil
	default:
		return 0, fmt.Errorf("unknown rung %q\n%s", verb, usage)
	}
}
