package firewall

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// legacyTables is where the kernel lists the tables of iptables-legacy.
var legacyTables = [...]string{"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"}

// Read reads the packet filter of the calling thread's network namespace.
// It needs CAP_NET_ADMIN there: the error is [io/fs.ErrPermission] without. A
// kernel without nf_tables has no rules.
func Read(ctx context.Context) (*Firewall, error) {
	var f Firewall
	for _, dump := range [...]struct {
		kind int
		take func(*Firewall, []byte)
	}{
		{uapi.NftMsgGetchain, (*Firewall).takeChain},
		{uapi.NftMsgGetrule, (*Firewall).takeRule},
		{uapi.NftMsgGetset, (*Firewall).takeSet},
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		messages, err := dumpTables(dump.kind, unix.AF_UNSPEC, nil)
		switch {
		case errors.Is(err, unix.EINVAL),
			errors.Is(err, unix.ENOENT),
			errors.Is(err, unix.EOPNOTSUPP),
			errors.Is(err, unix.EPROTONOSUPPORT):
			messages = nil // no nf_tables
		case err != nil:
			return nil, fmt.Errorf("firewall dump: %w", err)
		}
		for _, m := range messages {
			dump.take(&f, m)
		}
	}
	if err := f.readElements(ctx); err != nil {
		return nil, fmt.Errorf("firewall dump: %w", err)
	}
	slices.Reverse(f.Chains) // of one priority the chain made last comes first (nf_hook_entries_grow)
	slices.SortStableFunc(f.Chains, func(a, b Chain) int { return cmp.Compare(a.Priority, b.Priority) })
	return &f, f.readLegacy()
}

// dumpAttempts is how often a dump is begun anew when something changed under it.
const dumpAttempts = 5

// open opens a socket that takes messages from the kernel alone, as it is connected to it
// (netlink_getsockbyportid refuses all other senders): anybody who has CAP_NET_ADMIN in the
// namespace, such as root of a container, could write to another one. What came before it
// was connected is thrown away.
func open() (*nl.SocketHandle, error) {
	s, err := nl.Subscribe(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	err = unix.Connect(s.GetFd(), &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for err == nil || errors.Is(err, unix.ENOBUFS) {
		_, _, err = unix.Recvfrom(s.GetFd(), nil, unix.MSG_DONTWAIT|unix.MSG_TRUNC)
	}
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	if err = errors.Join(err, s.SetReceiveTimeout(&nl.SocketTimeoutTv)); err != nil {
		s.Close()
		return nil, err
	}
	return &nl.SocketHandle{Socket: s}, nil
}

// disturbed reports whether others may have written to the socket all the same, as those can
// that were at it when it was connected: there was no room for the answer, or the library met
// a message that is not the kernel's. Each attempt has a socket of its own.
func disturbed(err error) bool {
	return err != nil && (errors.Is(err, unix.ENOBUFS) || strings.HasPrefix(err.Error(), "Wrong sender portid") ||
		strings.HasPrefix(err.Error(), "Got short response"))
}

// dumpTables asks for all of a kind, again where something changed meanwhile, or where
// others disturbed it.
func dumpTables(kind int, family byte, attributes []byte) ([][]byte, error) {
	for attempt := 1; ; attempt++ {
		s, err := open()
		if err != nil {
			return nil, err
		}
		var messages [][]byte
		size := 0
		request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|kind, unix.NLM_F_DUMP)
		request.AddRawData([]byte{family, unix.NFNETLINK_V0, 0, 0}) // struct nfgenmsg
		request.AddRawData(attributes)
		request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: s}
		err = request.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(m []byte) bool {
			messages = append(messages, m)
			size += len(m)
			return size < mostBytes
		})
		s.Close()
		interrupted := errors.Is(err, nl.ErrDumpInterrupted)
		if !interrupted && !disturbed(err) {
			return messages, err
		}
		if attempt == dumpAttempts {
			if interrupted {
				err = nil
			}
			return messages, err
		}
	}
}

// mostBytes is how much of one dump is kept.
const mostBytes = 16 << 20

// readElements reads the elements of the sets. A set that is gone by now has none.
func (f *Firewall) readElements(ctx context.Context) error {
	for i := range f.Sets {
		if err := ctx.Err(); err != nil {
			return err
		}
		s := &f.Sets[i]
		var of []byte
		of = nlmsg.AppendAttribute(of, uapi.NftaSetElemListTable, append([]byte(s.Table), 0)...)
		of = nlmsg.AppendAttribute(of, uapi.NftaSetElemListSet, append([]byte(s.Name), 0)...)
		messages, err := dumpTables(uapi.NftMsgGetsetelem, s.protocol(), of)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		for _, m := range messages {
			f.takeElements(m)
		}
	}
	return nil
}

// protocol returns the number of the set's family.
func (s *Set) protocol() byte {
	for _, number := range families {
		if name, _ := familyName(number); name == s.Family {
			return number
		}
	}
	return unix.AF_UNSPEC
}

// readLegacy finds tables of iptables-legacy.
func (f *Firewall) readLegacy() error {
	for _, name := range legacyTables {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue // none, or the namespace is not the caller's to ask
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for _, table := range strings.Fields(string(text)) {
			if !slices.Contains(f.Legacy, table) {
				f.Legacy = append(f.Legacy, table)
			}
		}
	}
	return nil
}
