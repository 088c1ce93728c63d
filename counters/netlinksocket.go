package counters

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// NetlinkSocket is a row of /proc/net/netlink.
type NetlinkSocket struct {
	Protocol int    `json:"protocol"` // 0 rtnetlink, 4 sock_diag, 16 generic netlink
	PortID   uint32 `json:"portid"`   // 0 is the kernel; often the process id of the owner
	Groups   uint32 `json:"groups"`   // membership in the groups 1 to 32
	Drops    uint64 `json:"drops"`    // messages lost because its receive buffer was full
	Inode    uint32 `json:"inode"`
}

// NetlinkSockets returns the netlink sockets of the namespace: whether a monitor
// lost events, its own or another one.
func (r *Reader) NetlinkSockets() ([]NetlinkSocket, error) {
	path := filepath.Join(r.net, "netlink")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	sockets, err := ParseNetlinkSockets(string(text))
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	return sockets, nil
}

// ParseNetlinkSockets returns the rows of a /proc/net/netlink. Columns are found
// by the names in the first line.
func ParseNetlinkSockets(text string) ([]NetlinkSocket, error) {
	columns, rows, err := columnsOf(text, "Eth", "Pid", "Groups", "Drops", "Inode")
	if err != nil {
		return nil, err
	}
	sockets := make([]NetlinkSocket, 0, len(rows))
	for _, row := range rows {
		var s NetlinkSocket
		n := rowParser{row: row, columns: columns}
		s.Protocol = int(n.number("Eth", 10, 31))
		s.PortID = uint32(n.number("Pid", 10, 32))
		s.Groups = uint32(n.number("Groups", 16, 32))
		s.Drops = n.number("Drops", 10, 64)
		s.Inode = uint32(n.number("Inode", 10, 32))
		if n.err != nil {
			return nil, n.err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// Protocol is a row of /proc/net/protocols: how many sockets of a protocol there
// are.
type Protocol struct {
	Name    string `json:"name"`    // "TCP", "MPTCP", "MPTCPv6", …
	Sockets int64  `json:"sockets"` // of the namespace, listeners included
}

// Protocols returns the numbers of sockets by protocol: without "MPTCP" among
// them the kernel has no MPTCP.
func (r *Reader) Protocols() ([]Protocol, error) {
	path := filepath.Join(r.net, "protocols")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	protocols, err := ParseProtocols(string(text))
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	return protocols, nil
}

// ParseProtocols returns the rows of a /proc/net/protocols.
func ParseProtocols(text string) ([]Protocol, error) {
	columns, rows, err := columnsOf(text, "protocol", "sockets")
	if err != nil {
		return nil, err
	}
	protocols := make([]Protocol, 0, len(rows))
	for _, row := range rows {
		n := rowParser{row: row, columns: columns}
		sockets := n.number("sockets", 10, 63)
		if n.err != nil {
			return nil, n.err
		}
		protocols = append(protocols, Protocol{Name: strings.Clone(row[columns["protocol"]]), Sockets: int64(sockets)})
	}
	return protocols, nil
}

// columnsOf splits a text with a line of column names. Every row has at least the
// wanted columns.
func columnsOf(text string, wanted ...string) (columns map[string]int, rows [][]string, err error) {
	last := 0
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0:
			continue
		case columns == nil:
			columns = make(map[string]int, len(fields))
			for i, name := range fields {
				columns[name] = i
			}
			for _, name := range wanted {
				i, ok := columns[name]
				if !ok {
					return nil, nil, fmt.Errorf("no column %s", name)
				}
				last = max(last, i)
			}
		case len(fields) <= last:
			return nil, nil, fmt.Errorf("a row of %d columns, want %d", len(fields), last+1)
		default:
			rows = append(rows, fields)
		}
	}
	if columns == nil {
		return nil, nil, fmt.Errorf("no column %s", wanted[0])
	}
	return columns, rows, nil
}

// rowParser reads numbers out of a row and keeps the first fault.
type rowParser struct {
	row     []string
	columns map[string]int
	err     error
}

// number returns the number in a column.
func (p *rowParser) number(column string, base, bits int) uint64 {
	field := p.row[p.columns[column]]
	n, err := strconv.ParseUint(field, base, bits)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("column %s has %q for a number", column, field)
	}
	return n
}
