package exit

import "syscall"

// The exit codes. Those of iproute2 hold in the commands that have its grammar.
const (
	Failed        = 1
	Usage         = 2
	NoVerdict     = 3   // of doctor, whose 1 and 2 are verdicts
	RunFailed     = 125 // of run, whose other codes are the program's
	IPRefused     = 2   // by the kernel
	IPUsage       = 255 // exit(-1)
	IPBadAddress  = 1
	IPUnknownName = 1 // of an object
	Interrupted   = 128 + int(syscall.SIGINT)
)
