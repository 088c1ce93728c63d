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
	}{{uapi.NftMsgGetchain, (*Firewall).takeChain}, {uapi.NftMsgGetrule, (*Firewall).takeRule}} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		messages, err := dumpTables(dump.kind)
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
	slices.SortStableFunc(f.Chains, func(a, b Chain) int { return cmp.Compare(a.Priority, b.Priority) })
	return &f, f.readLegacy()
}

// dumpAttempts is how often a dump is begun anew when something changed under it.
const dumpAttempts = 5

// dumpTables asks for all chains or rules, again where they changed meanwhile.
func dumpTables(kind int) ([][]byte, error) {
	for attempt := 1; ; attempt++ {
		request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|kind, unix.NLM_F_DUMP)
		request.AddRawData([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0}) // struct nfgenmsg
		messages, err := request.Execute(unix.NETLINK_NETFILTER, 0)
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			return messages, err
		}
		if attempt == dumpAttempts {
			return messages, nil
		}
	}
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
