package source

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/pcapng"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"

	"golang.org/x/sys/unix"
)

// mostDestinations bounds to how many peers the paths are recorded.
const mostDestinations = 64

// dumper takes snapshots for a recording: the blocks of all answers of the kernel
// to the questions that commands ask. Its taps write to the snapshot under way.
type dumper struct {
	blocks []byte
	now    time.Time
	row    sockdiag.Subflow
	inodes map[uint32]bool
	peers  map[netip.Addr]bool
	makers []mptcp.Endpoint  // that subflows are created from
	files  map[string]string // as last written
	host   []byte            // fact of the host, as last written
	ip     string            // version of the ip command; asked once
	asked  bool
	failed error
}

// take returns the blocks of a snapshot, which are good until the next.
func (d *dumper) take(ctx context.Context, h *Host) ([]byte, error) {
	d.now, d.blocks, d.failed = time.Now(), d.blocks[:0], nil
	d.inodes, d.peers = map[uint32]bool{}, map[netip.Addr]bool{}
	d.fact(&fact{Fact: factSnapshot})
	for _, read := range []func(context.Context, *Host) error{
		d.readSockets, d.readPathManager, d.readProc, d.readNetwork, d.readProcesses, d.readHost,
	} {
		if err := read(ctx, h); err != nil {
			return nil, err
		}
	}
	d.fact(&fact{Fact: factEnd})
	return d.blocks, d.failed
}

func (d *dumper) fact(f *fact) {
	var err error
	d.blocks, err = appendFactPacket(d.blocks, d.now, f)
	d.failed = errors.Join(d.failed, err)
}

// pathManager is the tap of the path manager's answers.
func (d *dumper) pathManager(msg []byte) {
	d.blocks = appendMessages(d.blocks, d.now, netlinkGeneric, msg)
}

// sockets is the tap of answers about sockets. Plain TCP sockets, which a dump of
// subflows has too, are nobody's business.
func (d *dumper) sockets(protocol uint32, datagram []byte) {
	if protocol != unix.IPPROTO_TCP && protocol != uapi.IPPROTO_MPTCP {
		return
	}
	rows := appendRows(nil, datagram, func(payload []byte) bool {
		return protocol != unix.IPPROTO_TCP || sockdiag.DecodeSubflow(payload, &d.row) == nil && d.row.ULP == ulpMPTCP
	})
	if len(rows) > 0 && len(rows) <= pcapng.MaxPacket-cookedSize {
		d.blocks = appendMessages(d.blocks, d.now, netlinkSockDiag, rows)
	}
}

// ulpMPTCP is the upper layer protocol of subflows.
const ulpMPTCP = "mptcp"

func (d *dumper) readSockets(ctx context.Context, h *Host) error {
	d.fact(&fact{Fact: factSockets, Protocol: uapi.IPPROTO_MPTCP})
	for c, err := range h.diag.Connections(ctx, nil) {
		if err != nil {
			return err
		}
		d.inodes[c.Inode] = true
		if len(d.peers) < mostDestinations && c.Remote.Addr().IsValid() {
			d.peers[c.Remote.Addr()] = true
		}
	}
	for l, err := range h.diag.Listeners(ctx) {
		if err != nil {
			return err
		}
		d.inodes[l.Inode] = true
	}
	d.fact(&fact{Fact: factSockets, Protocol: unix.IPPROTO_TCP})
	for _, err := range h.diag.Subflows(ctx, &sockdiag.Request{States: sockdiag.AllStates}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *dumper) readPathManager(ctx context.Context, h *Host) error {
	d.makers = d.makers[:0]
	for e, err := range h.pm.Endpoints(ctx) {
		if err != nil {
			return err
		}
		if e.Flags.Has(mptcp.FlagSubflow) {
			d.makers = append(d.makers, e)
		}
	}
	_, err := h.pm.Limits(ctx)
	return err
}

// readProc reads the counters and settings. What the kernel does not have is left
// out.
func (d *dumper) readProc(context.Context, *Host) error {
	for _, path := range []string{"net/netstat", "net/snmp"} {
		d.file(path, "/proc/thread-self/"+path)
	}
	const settings = "/proc/sys/net/mptcp"
	sysctls := map[string]string{}
	entries, _ := os.ReadDir(settings)
	for _, e := range entries {
		if text, err := os.ReadFile(settings + "/" + e.Name()); err == nil {
			sysctls[e.Name()] = strings.TrimRight(string(text), "\n")
		}
	}
	d.fact(&fact{Fact: factSysctls, Sysctls: sysctls})
	for _, setting := range deviceSettings {
		dir := "sys/net/" + setting.family + "/conf"
		devices, _ := os.ReadDir("/proc/" + dir)
		for _, device := range devices {
			path := dir + "/" + device.Name() + "/" + setting.name
			d.file(path, "/proc/"+path)
		}
	}
	return nil
}

// file records a text of /proc, unless it is as it was when it was last recorded.
func (d *dumper) file(path, from string) {
	text, err := os.ReadFile(from)
	if err != nil {
		return
	}
	if before, recorded := d.files[path]; recorded && before == string(text) {
		return
	}
	if d.files == nil {
		d.files = map[string]string{}
	}
	d.files[path] = string(text)
	d.fact(&fact{Fact: factFile, Path: path, Text: string(text)})
}

// deviceSettings are the settings of devices that decide whether a path works.
var deviceSettings = []struct{ family, name string }{
	{"ipv4", "rp_filter"}, {"ipv4", "arp_filter"}, {"ipv4", "arp_ignore"}, {"ipv4", "arp_announce"},
	{"ipv6", "disable_ipv6"}, {"ipv6", "use_tempaddr"}, {"ipv6", "forwarding"},
}

// readNetwork records links, addresses, routes and rules, and the kernel's answers
// to all that the paths to the outside and to the peers depend on.
func (d *dumper) readNetwork(ctx context.Context, h *Host) error {
	n, err := h.network.Network(ctx)
	if err != nil {
		return err
	}
	d.fact(&fact{Fact: factNetwork, Network: &n})
	asked := map[hostnet.LookupRequest]bool{}
	var lookups []lookup
	ask := func(q hostnet.LookupRequest) (hostnet.Route, error) {
		route, err := h.network.Lookup(ctx, q)
		if !asked[q] {
			asked[q] = true
			answer := lookup{Question: q, Route: route}
			if errno, ok := errors.AsType[syscall.Errno](err); ok {
				answer.Errno = int(errno)
			}
			lookups = append(lookups, answer)
		}
		return route, err
	}
	hostnet.Candidates(n, netip.Addr{}, ask)
	for peer := range d.peers {
		hostnet.Candidates(n, peer, ask)
		for _, q := range doctor.LookupsFrom(d.makers, peer) {
			_, _ = ask(q) // the answer, or the error, is recorded
		}
	}
	d.fact(&fact{Fact: factLookups, Lookups: lookups})
	return ctx.Err()
}

func (d *dumper) readProcesses(ctx context.Context, _ *Host) error {
	delete(d.inodes, 0)
	processes := map[uint32][]mptcp.Process{}
	if len(d.inodes) > 0 {
		var err error
		if processes, err = hostnet.Processes(ctx, func(inode uint32) bool { return d.inodes[inode] }); err != nil {
			return err
		}
	}
	d.fact(&fact{Fact: factProcesses, Processes: processes})
	return nil
}

// readHost records what doctor wants to know of the host, and no dump tells.
func (d *dumper) readHost(ctx context.Context, h *Host) error {
	g := &gathering{h: h, c: &FactsConfig{}}
	g.kernel()
	if err := h.inside(func() error { g.subscribers(); return nil }); err != nil {
		return err
	}
	g.managers(ctx)
	g.firewall(ctx)
	if !d.asked {
		g.outside(ctx)
		d.ip, d.asked = g.f.IPRoute2, true
	}
	f := &doctor.Facts{
		Kernel: g.f.Kernel, Subscribers: g.f.Subscribers, Managers: g.f.Managers, MaybeManagers: g.f.MaybeManagers, IPRoute2: d.ip, Firewall: g.f.Firewall, Unseen: g.f.Unseen,
	}
	text, err := json.Marshal(f)
	if err == nil && !bytes.Equal(text, d.host) {
		d.host = text
		d.fact(&fact{Fact: factHost, Host: f})
	}
	return errors.Join(err, ctx.Err())
}
