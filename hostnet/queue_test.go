package hostnet_test

import (
	"net"
	"net/netip"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab/labtest"
)

// A queue that is too short for what is sent drops packets, and counts them.
func TestQueuesCountDrops(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(t, client, server, cable{"eth0", "10.1.0.2/24", 0})
	if err := client.Shape("eth0", 64<<10); err != nil {
		t.Fatal(err)
	}
	r := reader(t, client)
	await.True(t, "the queue drops packets", func() bool {
		do(t, client, func() error { return flood("239.1.1.1:9") })
		queues, err := r.Queues(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queues {
			if q.Kind == "tbf" {
				return q.Index != 0 && q.Drops > 0 && q.Overlimits > 0 && q.Packets > 0 && q.Bytes > 0
			}
		}
		return false
	})
}

// flood sends more than a short queue holds, to a group, which needs no neighbour to be found.
func flood(group string) error {
	c, err := net.ListenPacket("udp4", "10.1.0.2:0")
	if err != nil {
		return err
	}
	defer c.Close()
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(group))
	for range 200 {
		c.WriteTo(make([]byte, 1000), to) // some are refused: that is the point
	}
	return nil
}
