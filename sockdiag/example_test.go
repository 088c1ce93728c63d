package sockdiag_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// List the connections of this host with their subflows: what joins them is the
// token.
func Example() {
	ctx := context.Background()
	client, err := sockdiag.Dial(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	subflows := make(map[mptcp.Token][]sockdiag.Subflow)
	for s, err := range client.Subflows(ctx, nil) {
		if err != nil {
			log.Fatal(err)
		}
		if s.HasMPTCP {
			subflows[s.MPTCP.TokenLocal] = append(subflows[s.MPTCP.TokenLocal], s)
		}
	}
	for c, err := range client.Connections(ctx, nil) {
		if errors.Is(err, mptcp.ErrNotSupported) {
			log.Print("this kernel knows nothing about MPTCP connections")
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		log.Printf("%v %v %v %v, %d bytes sent", c.Info.Token, c.State, c.Local, c.Remote, c.Info.BytesSent)
		for _, s := range subflows[c.Info.Token] {
			log.Printf("\t%v %v id %d, %d us", s.Local, s.Remote, s.MPTCP.LocalID, s.TCP.RTTMicros)
		}
	}
	fmt.Println("done")
	// Output: done
}
