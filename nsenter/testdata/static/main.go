// static is built as podrt is, to measure the pod init in it: see memory_test.go.
package main

import (
	"fmt"
	"os"

	"github.com/podrt/podrt/nsenter"
)

func main() {
	fmt.Fprintln(os.Stderr, nsenter.Unpin(os.Args[1]))
	os.Exit(1)
}
