package pathmanager_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/netip"

	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// List the endpoints, which anybody may.
func ExampleClient_Endpoints() {
	c, err := pathmanager.Dial(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for e, err := range c.Endpoints(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.ID, e.Address, e.Flags)
	}
}

// Let additional subflows start from a second address. It needs CAP_NET_ADMIN.
func ExampleClient_AddEndpoint() {
	c, err := pathmanager.Dial(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	err = c.AddEndpoint(context.Background(), mptcp.Endpoint{
		Address: netip.MustParseAddr("192.0.2.3"),
		Flags:   mptcp.FlagSubflow,
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		fmt.Println("it is an endpoint already")
	case errors.Is(err, fs.ErrPermission):
		fmt.Println("run it with CAP_NET_ADMIN")
	case err != nil:
		fmt.Println(err) // with the kernel's own words
	}
}

// Allow four additional subflows, and leave the other limit as it is.
func ExampleClient_SetLimits() {
	c, err := pathmanager.Dial(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	err = c.SetLimits(context.Background(), pathmanager.LimitsUpdate{Subflows: new(uint32(4))})
	if err != nil {
		fmt.Println(err)
	}
}

// Follow connections as they come and go.
func ExampleListener_Events() {
	l, err := pathmanager.Listen(&pathmanager.ListenConfig{
		Types: []mptcp.EventType{mptcp.EventCreated, mptcp.EventClosed},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	for e, err := range l.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		if e.Type == mptcp.EventLost {
			fmt.Println("lost", e.Lost)
			continue
		}
		fmt.Println(e.Time.Format("15:04:05.000"), e.Type, e.Token)
	}
}
