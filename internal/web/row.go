package web

import (
	"encoding/json"
	"net/netip"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

// row is what the page's table shows of a connection: a quarter of what the API says of it,
// because a page asks for fifty of them each second.
type row struct {
	Token         mptcp.Token       `json:"token"`
	Netns         string            `json:"netns,omitempty"`
	Side          mptcp.Side        `json:"side"`
	State         mptcp.SocketState `json:"state"`
	Fallback      bool              `json:"fallback,omitempty"`
	FallbackCause string            `json:"fallback_cause,omitempty"`
	Local         netip.AddrPort    `json:"local"`
	Remote        netip.AddrPort    `json:"remote"`
	Subflows      int               `json:"subflow_count"`
	Carried       uint64            `json:"bytes_carried"` // by the subflows, both ways
	Processes     []mptcp.Process   `json:"processes,omitempty"`
}

// appendRow appends the row of a connection.
func appendRow(b []byte, c *mptcp.Connection) []byte {
	text, err := json.Marshal(row{
		Token: c.Token, Netns: c.Netns, Side: c.Side, State: c.State, Fallback: c.Fallback,
		FallbackCause: c.FallbackCause, Local: c.Local, Remote: c.Remote, Subflows: len(c.Subflows),
		Carried: carried(c), Processes: c.Processes,
	})
	if err != nil {
		panic(err) // there is nothing in it that has no JSON
	}
	return append(b, present.EscapeJSON(text)...)
}
