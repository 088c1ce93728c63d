package present

import (
	"io"

	"mptcpctl/mptcp"
)

// ConnectionsJSON writes the connections as one JSON array, schema version 1.
// Lists that are empty are "[]", never null.
func ConnectionsJSON(w io.Writer, connections []mptcp.Connection, pretty bool) error {
	out := ConnectionWriter{Out: w, JSON: true, Pretty: pretty}
	for i := range connections {
		if err := out.Write(&connections[i]); err != nil {
			return err
		}
	}
	return out.Close()
}
