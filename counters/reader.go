package counters

import (
	"cmp"
	"os"
	"path/filepath"
)

// Reader reads counters and settings. It keeps nothing between two calls and may
// be used by several goroutines at once.
type Reader struct {
	net string // the directory with netstat, snmp, netlink, protocols
	sys string // the directory of sysctls
}

// New returns a reader of the proc file system at root, such as one of a fixture
// or a container's /host/proc. An empty root is the live /proc, where every call
// reads what belongs to the network namespace of the calling thread.
func New(root string) *Reader {
	dir := cmp.Or(root, "/proc")
	r := &Reader{net: filepath.Join(dir, "net"), sys: filepath.Join(dir, "sys")}
	if root == "" {
		// /proc/net is that of the process' first thread.
		r.net = "/proc/thread-self/net"
	}
	return r
}

// MPTCP returns the MPTcpExt counters. All are zero until the first MPTCP socket
// of the namespace is opened.
//
// It needs no privilege. On a kernel without MPTCP the error is
// [mptcpctl/mptcp.ErrNotSupported].
func (r *Reader) MPTCP() (Values, error) { return r.table("netstat", tableMPTCP) }

// TCP returns the TcpExt counters, such as TCPTimeouts, ListenDrops or
// IPReversePathFilter.
func (r *Reader) TCP() (Values, error) { return r.table("netstat", tableTCP) }

// IPExt returns the IpExt counters, such as InOctets.
func (r *Reader) IPExt() (Values, error) { return r.table("netstat", tableIP) }

// TCPBase returns the counters of TCP that RFC 4022 knows, such as RetransSegs or
// OutRsts.
func (r *Reader) TCPBase() (Values, error) { return r.table("snmp", tableSNMP) }

// IP returns the counters of IPv4 that RFC 4293 knows, such as OutNoRoutes.
func (r *Reader) IP() (Values, error) { return r.table("snmp", tableIPv4) }

// table returns one table of a file of the net directory.
func (r *Reader) table(file, table string) (Values, error) {
	path := filepath.Join(r.net, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return Values{}, fileError(path, err)
	}
	v, err := ParseTable(string(text), table)
	if err != nil {
		return Values{}, &Error{Path: path, Err: err}
	}
	return v, nil
}
