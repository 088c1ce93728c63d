package recording

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/source"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// recorded is one snapshot of a recording, not decoded yet.
type recorded struct {
	time     time.Time
	until    time.Time // when it was whole
	netns    string    // name of the namespace, "" where only one was recorded
	round    int       // of snapshots of all namespaces
	before   *recorded // files that did not change stand there
	protocol uint32    // of the sockets that follow

	connections [][]byte // inet_diag rows
	subflows    [][]byte
	answers     []nlmsg.Message // of the path manager
	sysctls     map[string]string
	files       map[string]string
	chain       *chain
	number      int // in the chain
	network     hostnet.Network
	lookups     []Lookup
	processes   map[uint32][]mptcp.Process
	host        *doctor.Facts
	recording   *Recording
	whole       bool // it has a network: else it is the stand-in for none
}

var _ source.View = (*recorded)(nil)

func (s *recorded) takeSocket(m nlmsg.Message) {
	switch {
	case !tellsOfSocket(m):
	case s.protocol == uapi.IPPROTO_MPTCP:
		s.connections = append(s.connections, m.Payload())
	case s.protocol != 0:
		s.subflows = append(s.subflows, m.Payload())
	}
}

func (s *recorded) takeFact(f *Fact) {
	switch f.Fact {
	case FactSockets:
		s.protocol = f.Protocol
	case FactSysctls:
		s.sysctls = f.Sysctls
	case FactFile:
		if s.files == nil {
			s.files = map[string]string{}
		}
		s.files[f.Path] = f.Text
	case FactNetwork:
		if f.Network != nil {
			s.network, s.whole = *f.Network, true
		}
	case FactLookups:
		s.lookups = f.Lookups
	case FactProcesses:
		s.processes = f.Processes
	case FactHost:
		s.host = f.Host
	}
}

// chain holds the texts of the snapshots of a namespace from the first one on, so that
// one which did not change since long is found without a walk through all of them.
type chain struct {
	files map[string][]version // by path, oldest first
	count int                  // of the snapshots
}

// version is a text from the snapshot with that number on.
type version struct {
	number int
	text   string
}

// succeed puts the snapshot, which is whole now, behind the one before: what it does not
// have of its own is as it was there.
func (s *recorded) succeed() {
	if s.before == nil {
		s.chain = &chain{files: map[string][]version{}}
	} else {
		s.chain = s.before.chain
		if s.host == nil {
			s.host = s.before.host
		}
	}
	s.number = s.chain.count
	s.chain.count++
	for path, text := range s.files {
		s.chain.files[path] = append(s.chain.files[path], version{s.number, text})
	}
	s.files = nil
}

// file returns a text of /proc.
func (s *recorded) file(path string) (string, bool) {
	if s == nil || s.chain == nil {
		return "", false
	}
	versions := s.chain.files[path]
	i := sort.Search(len(versions), func(i int) bool { return versions[i].number > s.number })
	if i == 0 {
		return "", false
	}
	return versions[i-1].text, true
}

// check returns an error where there is no snapshot.
func (s *recorded) check() error {
	if !s.whole {
		return fmt.Errorf("a whole snapshot: %w", ErrNotRecorded)
	}
	return nil
}

// Netns returns the name that the namespace was recorded under.
func (s *recorded) Netns() string { return s.netns }

// Enter reads it from the name, which does not tell how to enter a container.
func (s *recorded) Enter() string {
	name := strings.TrimPrefix(s.netns, "pid ")
	if strings.Contains(name, " ") || strings.HasPrefix(name, "net:[") {
		return ""
	}
	return name
}

// Snapshot decodes the snapshot.
func (s *recorded) Snapshot(context.Context) (track.Snapshot, error) {
	if err := s.check(); err != nil {
		return track.Snapshot{}, err
	}
	t := track.Snapshot{Time: s.time, Netns: s.netns, Kernel: s.recording.kernel}
	if sysctls, ok := s.settings(); ok {
		t.PathManager = sysctls.PathManagerName()
	}
	for c := range s.sockets() {
		if c.State == mptcp.StateListen {
			t.Listeners = append(t.Listeners, c.Local)
		} else {
			t.Connections = append(t.Connections, source.Connection(s.netns, c))
			source.FillPair(&t.Connections[len(t.Connections)-1], c)
		}
	}
	seen := map[uint64]bool{}
	var row sockdiag.Subflow
	for _, payload := range s.subflows {
		if sockdiag.DecodeSubflow(payload, &row) != nil || row.ULP != uapi.ULPMPTCP || row.State == mptcp.StateListen ||
			seen[row.Cookie] {
			continue
		}
		seen[row.Cookie] = true
		t.Subflows = append(t.Subflows, source.SubflowRow(&row))
	}
	t.Links, t.Addresses = make([]track.LinkFact, 0, len(s.network.Links)), make(
		[]track.AddressFact, 0, len(s.network.Addresses),
	)
	for i := range s.network.Links {
		t.Links = append(t.Links, source.LinkFact(&s.network.Links[i]))
	}
	for i := range s.network.Addresses {
		t.Addresses = append(t.Addresses, source.AddressFact(&s.network.Addresses[i]))
	}
	t.Endpoints, t.Limits = s.pathManager()
	return t, nil
}

// settings reads the settings of MPTCP.
func (s *recorded) settings() (sysctls counters.Sysctls, ok bool) {
	sysctls, err := counters.ParseSysctls(s.sysctls)
	return sysctls, err == nil && len(s.sysctls) > 0
}

// CheckSubflows has nothing to say: a recording tells what its maker was told.
func (s *recorded) CheckSubflows(context.Context) error { return nil }

// Listing decodes the snapshot.
func (s *recorded) Listing(ctx context.Context, brief bool) (*track.Listing, error) {
	snapshot, err := s.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	l := &track.Listing{Brief: brief, Facts: snapshot}
	l.Facts.Connections, l.Facts.Subflows = nil, nil
	for i := range snapshot.Connections {
		l.AddConnection(&snapshot.Connections[i])
	}
	for i := range snapshot.Subflows {
		l.AddSubflow(&snapshot.Subflows[i])
	}
	return l, nil
}

// sockets yields the MPTCP sockets, each once. One is valid until the next.
func (s *recorded) sockets() iter.Seq[*sockdiag.Connection] {
	return func(yield func(*sockdiag.Connection) bool) {
		type identity struct {
			cookie uint64 // many accepted connections share one
			token  mptcp.Token
			remote netip.AddrPort
		}
		seen := map[identity]bool{}
		var c sockdiag.Connection
		for _, payload := range s.connections {
			if sockdiag.DecodeConnection(payload, &c) != nil || c.Gone() {
				continue
			}
			id := identity{c.Cookie, c.Info.Token, c.Remote}
			if seen[id] {
				continue
			}
			seen[id] = true
			if !yield(&c) {
				return
			}
		}
	}
}

// pathManager decodes the answers of the path manager: those about endpoints have
// an address, the one about limits has none.
func (s *recorded) pathManager() (endpoints []mptcp.Endpoint, limits mptcp.Limits) {
	for _, m := range s.answers {
		if e, err := pathmanager.DecodeEndpoint(m); err == nil {
			endpoints = append(endpoints, e)
		} else if l, err := pathmanager.DecodeLimits(m); err == nil {
			limits = l
		}
	}
	return endpoints, limits
}

// Listeners decodes the MPTCP listeners.
func (s *recorded) Listeners(context.Context) ([]source.Listener, error) {
	var listeners []source.Listener
	for c := range s.sockets() {
		if c.State == mptcp.StateListen {
			listeners = append(
				listeners,
				source.Listener{Connection: source.Connection(s.netns, c), Waiting: c.RecvQueue, Backlog: c.SendQueue},
			)
		}
	}
	return listeners, s.check()
}

// Processes returns the recorded processes, as those of a host do for the sockets of
// all namespaces.
func (s *recorded) Processes(_ context.Context, wanted func(inode uint32) bool) (map[uint32][]mptcp.Process, error) {
	found := map[uint32][]mptcp.Process{}
	for inode, processes := range s.holders() {
		if wanted(inode) {
			found[inode] = slices.Clone(processes)
		}
	}
	return found, s.check()
}

// Holders notes the recorded processes.
func (s *recorded) Holders(_ context.Context, sockets *owners.Sockets) error {
	for inode, processes := range s.holders() {
		for _, p := range processes {
			sockets.Hold(inode, p)
		}
	}
	return s.check()
}

// holders yields the processes by the sockets that they hold. An inode is the host's,
// and each namespace's snapshot has its own: the others' are as of this round, or of
// the one before where the recording ended between them.
func (s *recorded) holders() iter.Seq2[uint32, []mptcp.Process] {
	there := map[string]*recorded{}
	for _, other := range s.recording.snapshots {
		if other.round <= s.round {
			there[other.netns] = other
		}
	}
	there[s.netns] = s
	return func(yield func(uint32, []mptcp.Process) bool) {
		for _, snapshot := range there {
			for inode, processes := range snapshot.processes {
				if !yield(inode, processes) {
					return
				}
			}
		}
	}
}

// MPTCPCounters reads the recorded text.
func (s *recorded) MPTCPCounters() (counters.Values, error) {
	text, ok := s.file("net/netstat")
	if !ok {
		return counters.Values{}, fmt.Errorf("counters: %w", ErrNotRecorded)
	}
	return counters.ParseTable(text, tableMPTCP)
}

// Sysctls returns the recorded settings.
func (s *recorded) Sysctls() (counters.Sysctls, error) {
	settings, ok := s.settings()
	if !ok {
		return settings, fmt.Errorf("sysctls: %w", ErrNotRecorded)
	}
	return settings, nil
}

// Endpoints yields the recorded endpoints.
func (s *recorded) Endpoints(context.Context) iter.Seq2[mptcp.Endpoint, error] {
	return func(yield func(mptcp.Endpoint, error) bool) {
		if err := s.check(); err != nil {
			yield(mptcp.Endpoint{}, err)
			return
		}
		endpoints, _ := s.pathManager()
		for _, e := range endpoints {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Endpoint returns the recorded endpoint with the id. Where there is none the error
// has the kernel's words, and is [fs.ErrNotExist].
func (s *recorded) Endpoint(ctx context.Context, id mptcp.AddressID) (mptcp.Endpoint, error) {
	for e, err := range s.Endpoints(ctx) {
		if err != nil || e.ID == id {
			return e, err
		}
	}
	return mptcp.Endpoint{}, &pathmanager.Error{
		Op: "endpoint show", Object: fmt.Sprintf("id %d", id), Message: "address not found", Err: fs.ErrNotExist,
	}
}

// Limits returns the recorded limits.
func (s *recorded) Limits(context.Context) (mptcp.Limits, error) {
	_, limits := s.pathManager()
	return limits, s.check()
}

// Paths works the candidate paths out of the recorded network and route lookups.
// Only destinations that were asked for then have an answer: the outside, and the
// peers of connections. The error is [ErrNotRecorded] for others.
func (s *recorded) Paths(_ context.Context, key hostnet.LookupRequest) (hostnet.PathReport, error) {
	if err := s.check(); err != nil {
		return hostnet.PathReport{}, err
	}
	dst := key.Dst
	if key.Mark != 0 || key.HasUID {
		return hostnet.PathReport{}, fmt.Errorf("paths of a flow with a mark or of a user: %w", ErrNotRecorded)
	}
	answers := s.routes()
	destinations := map[netip.Addr]bool{}
	for q := range answers {
		destinations[q.Dst] = true
	}
	if dst.IsValid() && !destinations[dst] {
		known := slices.SortedFunc(maps.Keys(destinations), netip.Addr.Compare)
		return hostnet.PathReport{}, fmt.Errorf(
			"paths to %v: %w (the recording has the paths to %s)", dst, ErrNotRecorded, join(known),
		)
	}
	report := hostnet.Candidates(s.network, dst, func(q hostnet.LookupRequest) (hostnet.Route, error) {
		switch l, ok := answers[q]; {
		case !ok:
			return hostnet.Route{}, fmt.Errorf("route to %v: %w", q, ErrNotRecorded)
		case l.Errno != 0:
			return hostnet.Route{}, syscall.Errno(l.Errno)
		default:
			return l.Route, nil
		}
	})
	report.Open = s.network.Unanswered(key)
	return report, nil
}

// routes returns the recorded route lookups by their questions.
func (s *recorded) routes() map[hostnet.LookupRequest]Lookup {
	answers := make(map[hostnet.LookupRequest]Lookup, len(s.lookups))
	for _, l := range s.lookups {
		answers[l.Question] = l
	}
	return answers
}

func join(addrs []netip.Addr) string {
	if len(addrs) == 0 {
		return "no destination"
	}
	names := make([]string, len(addrs))
	for i, a := range addrs {
		names[i] = a.WithZone("").String()
	}
	return strings.Join(names, ", ")
}

// DeviceName returns the name of a recorded link.
func (s *recorded) DeviceName(index int32) string {
	if l, ok := s.network.LinkByIndex(int(index)); ok {
		return l.Name
	}
	return "if" + strconv.Itoa(int(index))
}
