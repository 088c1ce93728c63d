package live

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
	"mptcpctl/internal/owners"
	"mptcpctl/internal/pcapng"
	"mptcpctl/internal/source/recording"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"

	"golang.org/x/sys/unix"
)

// mostDestinations bounds to how many peers the paths are recorded.
const mostDestinations = 64

// dumper takes snapshots of one namespace for a recording: the blocks of all answers
// of the kernel to the questions that commands ask. Its taps write to the snapshot
// under way.
type dumper struct {
	recorder *recorder
	netns    string
	number   int // of the interface for messages; that for facts is the next one

	gone   bool // the namespace has gone: no snapshot of it may follow; guarded by the recorder's mu
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

// taps are where the answers of the namespace's kernel go.
func (d *dumper) taps() taps { return taps{pathManager: d.pathManager, sockets: d.sockets} }

// tapEvent takes one event of the kernel.
func (d *dumper) tapEvent(t time.Time, _ int32, msg []byte) { d.recorder.tapEvent(d.netns, t, msg) }

// leave notes that the namespace has gone. A snapshot that is under way is dropped.
func (d *dumper) leave() {
	d.recorder.mu.Lock()
	d.gone = true
	d.recorder.mu.Unlock()
	d.recorder.tellFact(d.netns, time.Now(), &recording.Fact{Fact: recording.FactGone})
}

// begin begins a snapshot of a round over all namespaces: all but the processes.
func (d *dumper) begin(ctx context.Context, h *Host, round int) error {
	d.now, d.blocks, d.failed = time.Now(), d.blocks[:0], nil
	d.inodes, d.peers = map[uint32]bool{}, map[netip.Addr]bool{}
	d.fact(&recording.Fact{Fact: recording.FactSnapshot, Round: round})
	for _, read := range []func(context.Context, *Host) error{
		d.readSockets, d.readPathManager, d.readProc, d.readNetwork, d.readHost,
	} {
		if err := read(ctx, h); err != nil {
			return err
		}
	}
	d.now = time.Now()
	return nil
}

// end ends the snapshot with the processes that hold its sockets, and returns its
// blocks, which are good until the next.
func (d *dumper) end(sockets *owners.Sockets) ([]byte, error) {
	processes := map[uint32][]mptcp.Process{}
	for inode := range d.inodes {
		if holders := sockets.Holders(inode); len(holders) > 0 {
			processes[inode] = holders
		}
	}
	d.fact(&recording.Fact{Fact: recording.FactProcesses, Processes: processes})
	d.fact(&recording.Fact{Fact: recording.FactEnd})
	return d.blocks, d.failed
}

func (d *dumper) fact(f *recording.Fact) {
	var err error
	d.blocks, err = recording.AppendFactPacket(d.blocks, d.number+1, d.now, f)
	d.failed = errors.Join(d.failed, err)
}

// pathManager is the tap of the path manager's answers.
func (d *dumper) pathManager(msg []byte) {
	d.blocks = recording.AppendMessages(d.blocks, d.number, d.now, recording.NetlinkGeneric, msg)
}

// sockets is the tap of answers about sockets. Plain TCP sockets, which a dump of
// subflows has too, are nobody's business.
func (d *dumper) sockets(protocol uint32, datagram []byte) {
	if protocol != unix.IPPROTO_TCP && protocol != uapi.IPPROTO_MPTCP {
		return
	}
	rows := recording.AppendRows(nil, datagram, func(payload []byte) bool {
		return protocol != unix.IPPROTO_TCP ||
			sockdiag.DecodeSubflow(payload, &d.row) == nil && d.row.ULP == uapi.ULPMPTCP
	})
	if len(rows) > 0 && len(rows) <= pcapng.MaxPacket-recording.CookedSize {
		d.blocks = recording.AppendMessages(d.blocks, d.number, d.now, recording.NetlinkSockDiag, rows)
	}
}

func (d *dumper) readSockets(ctx context.Context, h *Host) error {
	// Subflows first, for the reason that gathering.sockets gives.
	d.fact(&recording.Fact{Fact: recording.FactSockets, Protocol: unix.IPPROTO_TCP})
	for _, err := range h.diag.Subflows(ctx, &sockdiag.Request{States: sockdiag.AllStates}) {
		if err != nil {
			return err
		}
	}
	d.fact(&recording.Fact{Fact: recording.FactSockets, Protocol: uapi.IPPROTO_MPTCP})
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
	return nil
}

func (d *dumper) readPathManager(ctx context.Context, h *Host) error {
	d.makers = d.makers[:0]
	for e, err := range h.pm.Endpoints(ctx) {
		if err != nil {
			return err
		}
		if e.Flags.CreatesSubflows() {
			d.makers = append(d.makers, e)
		}
	}
	_, err := h.pm.Limits(ctx)
	return err
}

// readProc reads the counters and settings. What the kernel does not have is left
// out.
func (d *dumper) readProc(_ context.Context, h *Host) error { return h.inside(d.readFiles) }

func (d *dumper) readFiles() error {
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
	d.fact(&recording.Fact{Fact: recording.FactSysctls, Sysctls: sysctls})
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
	d.fact(&recording.Fact{Fact: recording.FactFile, Path: path, Text: string(text)})
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
	d.fact(&recording.Fact{Fact: recording.FactNetwork, Network: &n})
	asked := map[hostnet.LookupRequest]bool{}
	var lookups []recording.Lookup
	ask := func(q hostnet.LookupRequest) (hostnet.Route, error) {
		route, err := h.network.Lookup(ctx, q)
		if !asked[q] {
			asked[q] = true
			answer := recording.Lookup{Question: q, Route: route}
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
	d.fact(&recording.Fact{Fact: recording.FactLookups, Lookups: lookups})
	return ctx.Err()
}

// readHost records what doctor wants to know of the host, and no dump tells. In a
// recording of all namespaces that is asked once for each but the recorder's own.
func (d *dumper) readHost(ctx context.Context, h *Host) error {
	if d.host != nil && d.number > 0 {
		return nil
	}
	g := h.gathering(nil, newRound(ctx))
	g.kernel()
	if err := h.inside(func() error { g.subscribers(ctx); return nil }); err != nil {
		return err
	}
	g.managers(ctx)
	g.firewall(ctx)
	if !d.asked {
		g.outside(ctx)
		d.ip, d.asked = g.f.IPRoute2, true
	}
	f := &doctor.Facts{
		Kernel:        g.f.Kernel,
		Subscribers:   g.f.Subscribers,
		Managers:      g.f.Managers,
		MaybeManagers: g.f.MaybeManagers,
		IPRoute2:      d.ip,
		Firewall:      g.f.Firewall,
		Unseen:        g.f.Unseen,
	}
	text, err := json.Marshal(f)
	if err == nil && !bytes.Equal(text, d.host) {
		d.host = text
		d.fact(&recording.Fact{Fact: recording.FactHost, Host: f})
	}
	return errors.Join(err, ctx.Err())
}
