package present

import (
	"io"
	"net/netip"

	"mptcpctl/mptcp"
)

// Listener is an MPTCP listener as it is shown.
type Listener struct {
	Local   netip.AddrPort `json:"local"`
	Waiting uint32         `json:"waiting"` // connections that wait for accept
	Backlog uint32         `json:"backlog"` // how many may
	Inode   uint32         `json:"inode"`
	UID     uint32         `json:"uid"`
	// none: the kernel's own, of a signal endpoint with a port, or of another user
	Processes []mptcp.Process `json:"processes"`
	Netns     string          `json:"netns,omitempty"` // "" for the reader's own
}

// Listeners writes one line for each listener.
func Listeners(w io.Writer, listeners []Listener, colors Palette) error {
	text := ConnectionText{Colors: colors}
	var b []byte
	for _, l := range listeners {
		b = append(b, "listening "...)
		b = text.appendAddrPort(b, l.Local)
		b = appendField(b, " waiting ", uint64(l.Waiting))
		b = appendField(b, " of ", uint64(l.Backlog))
		if l.Inode == 0 {
			b = append(b, " in-kernel"...)
		}
		b = text.appendProcesses(b, &mptcp.Connection{Inode: max(l.Inode, 1), Processes: l.Processes})
		b = appendNetns(b, l.Netns)
		b = append(b, '\n')
	}
	_, err := w.Write(b)
	return err
}
