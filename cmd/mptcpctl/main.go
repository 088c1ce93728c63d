// Go listens on MPTCP sockets by default: our own servers would show up among
// the connections that we are asked about.
//go:debug multipathtcp=0
//
// Nothing here runs on many processors: how many a control group allows, which takes
// a twentieth of a short command to find out, is of no use.
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

// Mptcpctl sees, explains and manages Multipath TCP on Linux.
package main

import (
	"os"

	"mptcpctl/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, cli.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}))
}
