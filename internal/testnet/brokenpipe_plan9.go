package testnet

import "io"

// errBrokenPipe stands in for the errno that Plan 9 does not have.
var errBrokenPipe error = io.ErrClosedPipe
