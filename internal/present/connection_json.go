package present

import (
	"io"

	"mptcpctl/mptcp"
)

// ConnectionsJSON writes the connections as one JSON array, schema version 1.
// Lists that are empty are "[]", never null.
func ConnectionsJSON(w io.Writer, connections []mptcp.Connection, pretty bool) error {
	if connections == nil {
		connections = []mptcp.Connection{}
	}
	for i := range connections {
		c := &connections[i]
		if c.Processes == nil {
			c.Processes = []mptcp.Process{}
		}
		if c.Subflows == nil {
			c.Subflows = []mptcp.Subflow{}
		}
	}
	return JSON(w, connections, pretty)
}
