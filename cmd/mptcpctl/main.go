// Go listens on MPTCP sockets by default: our own servers would show up among
// the connections that we are asked about.
//go:debug multipathtcp=0
//
// Nothing here runs on many processors: to ask again and again how many there are is
// of no use.
//go:debug updatemaxprocs=0

// Mptcpctl sees, explains and manages Multipath TCP on Linux. This is the quick program: it
// has all commands that are over soon or print a stream, and none of the libraries of the
// terminal view and the web server. For those it becomes mptcpctl-full.
package main

import (
	"os"

	"mptcpctl/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, cli.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, cli.Faces{}))
}
