// Go listens on MPTCP sockets by default: our own servers would show up among
// the connections that we are asked about.
//go:debug multipathtcp=0
//
// Nothing here runs on many processors: to ask again and again how many there are is
// of no use.
//go:debug updatemaxprocs=0

// Mptcpctl-full is mptcpctl with the terminal view and the web server, `top` and `serve`.
package main

import (
	"os"

	"mptcpctl/internal/cli"
	"mptcpctl/internal/cli/whole"
	"mptcpctl/internal/opener"
)

func main() {
	if opener.IsStub(os.Args) {
		os.Exit(opener.Stub(os.Args)) // `serve` starts this program again
	}
	os.Exit(
		cli.Main(
			os.Args, cli.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr},
			cli.Faces{
				Top: whole.Top, Serve: whole.Serve, At: whole.At,
				History: cli.History{
					List: whole.HistoryList, Show: whole.HistoryShow,
					Diff: whole.HistoryDiff, Verify: whole.HistoryVerify,
				},
			},
		),
	)
}
