package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Counter returns a counter of the namespace's MPTcpExt or TcpExt, and whether the
// kernel has it.
func (n *Namespace) Counter(name string) (value uint64, known bool, err error) {
	var table []byte
	err = n.Do(func() error {
		table, err = os.ReadFile("/proc/thread-self/net/netstat")
		return err
	})
	if err != nil {
		return 0, false, err
	}
	var names []string
	for line := range strings.Lines(string(table)) { // a line of names, then one of values
		fields := strings.Fields(line)
		i := slices.Index(names, name)
		if i > 0 && i < len(fields) && fields[0] == names[0] {
			value, err = strconv.ParseUint(fields[i], 10, 64)
			return value, err == nil, err
		}
		names = fields
	}
	return 0, false, nil
}

// SentAgain returns how often the TCP socket from that address, in that state, has
// sent without an answer, the one that did most. It reads the kernel's table of
// TCP sockets, which is the same on all kernels.
func (n *Namespace) SentAgain(from netip.Addr, state string) (most uint64, found bool, err error) {
	table, err := n.tcpTable(from)
	if err != nil {
		return 0, false, err
	}
	local := hexAddress(from)
	for line := range bytes.Lines(table) { // sl local remote state queues timer retransmits uid probes …
		f := bytes.Fields(line)
		if len(f) < 9 || string(f[3]) != state || !bytes.HasPrefix(f[1], []byte(local+":")) {
			continue
		}
		again, err1 := strconv.ParseUint(string(f[6]), 16, 64)
		probes, err2 := strconv.ParseUint(string(f[8]), 10, 64) // where not even the first packet could go out
		if err := errors.Join(err1, err2); err != nil {
			return 0, false, err
		}
		most, found = max(most, again, probes), true
	}
	return most, found, nil
}

func (n *Namespace) tcpTable(of netip.Addr) (table []byte, err error) {
	name := "/proc/thread-self/net/tcp"
	if of.Is6() {
		name += "6"
	}
	err = n.Do(func() error {
		table, err = os.ReadFile(name)
		return err
	})
	return table, err
}

// hexAddress returns the address as the kernel's table has it: words of four bytes
// as numbers of this machine.
func hexAddress(a netip.Addr) string {
	var s strings.Builder
	raw := a.AsSlice()
	for i := 0; i < len(raw); i += 4 {
		fmt.Fprintf(&s, "%08X", binary.NativeEndian.Uint32(raw[i:]))
	}
	return s.String()
}

// Listens reports whether a socket of the namespace listens on the TCP port.
func (n *Namespace) Listens(port string) (bool, error) {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return false, err
	}
	local := fmt.Sprintf(":%04X", number)
	found := false
	err = n.Do(func() error {
		for _, file := range []string{"tcp", "tcp6"} {
			table, err := os.ReadFile("/proc/thread-self/net/" + file)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
			for line := range bytes.Lines(table) { // sl local remote state …; 0A is LISTEN
				f := bytes.Fields(line)
				found = found || len(f) > 3 && bytes.HasSuffix(f[1], []byte(local)) && string(f[3]) == "0A"
			}
		}
		return nil
	})
	return found, err
}
