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

	"golang.org/x/sys/unix"
)

// shows reports whether the symptom shows, and what is seen.
func (t *Trial) shows(s Symptom) (bool, string, error) {
	host := t.Lab.Host(s.Host)
	switch s.Kind {
	case CounterAt:
		n, known, err := host.Counter(s.Counter)
		return n >= s.Count || !known, strconv.FormatUint(n, 10), err
	case Subflows:
		return t.haveSubflows(s)
	case FellBack:
		return t.haveFallenBack()
	}
	state, count := "02", uint64(1) // SYN-SENT
	if s.Kind == PathSilent {
		state, count = "01", s.Count // ESTABLISHED
	}
	sent, found, err := host.sentAgain(s.Address, state)
	if !found {
		return false, "no such socket", err
	}
	return sent >= count, fmt.Sprintf("sent again %d times", sent), err
}

// conns are the ends of the held connections at that host.
func (t *Trial) conns(host string) []*Conn {
	if host == ServerHost && t.talk.server != nil {
		return t.talk.server.Conns()
	}
	return t.talk.held
}

func (t *Trial) haveSubflows(s Symptom) (bool, string, error) {
	conns := t.conns(s.Host)
	for _, c := range conns {
		if n := c.AdditionalSubflows(); n != int(s.Count) {
			return false, fmt.Sprintf("%d additional subflows", n), nil
		}
	}
	return len(conns) >= len(t.talk.held), fmt.Sprintf("%d connections", len(conns)), nil
}

func (t *Trial) haveFallenBack() (bool, string, error) {
	for _, c := range t.talk.held {
		if _, err := c.Info(); !errors.Is(err, unix.EOPNOTSUPP) {
			return false, "still MPTCP", nil
		}
	}
	return true, "", nil
}

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

// sentAgain returns how often the TCP socket from that address, in that state, has
// sent without an answer, the one that did most. It reads the kernel's table of
// TCP sockets, which is the same on all kernels.
func (n *Namespace) sentAgain(from netip.Addr, state string) (most uint64, found bool, err error) {
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
