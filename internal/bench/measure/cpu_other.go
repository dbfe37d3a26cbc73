//go:build !unix

package measure

import (
	"errors"
	"time"
)

// CPU is not known here.
func CPU() (time.Duration, error) {
	return 0, errors.New("measure: the processor time of a process is taken by getrusage, which this system does not have")
}
