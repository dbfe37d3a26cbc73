//go:build !linux

// Command speed needs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "speed: the client polls by epoll, and processes are pinned and read by what Linux has for it")
	os.Exit(1)
}
