//go:build !plan9

package testnet

import (
	"os"
	"syscall"
)

// errBrokenPipe is what a socket's write returns when the peer has gone.
var errBrokenPipe error = os.NewSyscallError("write", syscall.EPIPE)
