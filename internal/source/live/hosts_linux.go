package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"

	"golang.org/x/sys/unix"
)

var _ source.Source = (*Hosts)(nil)

// HostsConfig adjusts Hosts. The zero value, and nil, mean all namespaces without
// their events.
type HostsConfig struct {
	// Events subscribes to the events of all namespaces.
	Events *pathmanager.ListenConfig
	// Search says where to look for namespaces.
	Search hostnet.NamespaceSearch
	// Warn is told what is left out, and why: once for each namespace. It may be
	// nil.
	Warn func(error)

	recorder *recorder // is shown what the kernel says; nil: nobody is
}

// Hosts is all network namespaces of the running kernel that the caller may enter:
// those that have a name in /run/netns, and those of processes. They come and go
// while Batches is read. Its methods may be used by several goroutines.
//
// Events of the namespaces that have a number (nsid) in the caller's one come by a
// single socket, which needs CAP_NET_BROADCAST; the others get a socket each.
type Hosts struct {
	config HostsConfig
	reader *hostnet.Reader // of the caller's namespace: knows the numbers

	main *pathmanager.Listener // of all numbered namespaces; nil: there is none
	feed chan []mptcp.Event    // batches of the members' own listeners

	mu      sync.Mutex // guards what follows
	members []*member  // the caller's own first
	warned  map[string]bool
	numbers map[int32]number // of namespaces with one
	scanned time.Time
	follow  func(*member) // reads the events of one that has its own listener; nil: nobody reads
	watch   func(*member) // reads the ends of its subflows; nil: nobody reads

	scanning sync.Mutex // held by scan
}

// number is what is known of the namespace that has a number.
type number struct {
	name  string
	held  bool      // by a member: else the number may be another namespace's by now
	until time.Time // until then nobody is looked for: none was found just now
	left  time.Time // when the member that had it was left; zero: there was none
}

// member is one namespace.
type member struct {
	*Host
	inode   uint64
	current bool
	direct  bool // its events come by a listener of its own
	stop    context.CancelFunc
	read    chan struct{} // closed when its own listener was read to the end; nil: nobody reads
	unwatch context.CancelFunc
	dump    *dumper // of a recording
}

// DialAll opens all namespaces. What is not allowed is left out, and told to
// HostsConfig.Warn; the error is about the caller's own namespace.
func DialAll(ctx context.Context, c *HostsConfig) (*Hosts, error) {
	h := &Hosts{warned: map[string]bool{}, numbers: map[int32]number{}, feed: make(chan []mptcp.Event)}
	if c != nil {
		h.config = *c
	}
	var err error
	if h.reader, err = hostnet.New(nil); err != nil {
		return nil, err
	}
	if err := h.listen(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := h.scan(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// listen opens the socket for the events of all numbered namespaces.
func (h *Hosts) listen() (err error) {
	if h.config.Events == nil {
		return nil
	}
	listen := *h.config.Events
	listen.AllNamespaces, listen.Resolve = true, h.nameOfNumber
	if h.config.recorder != nil {
		listen.Tap = h.tapMain
	}
	if h.main, err = pathmanager.Listen(&listen); err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	h.warn(
		"all",
		fmt.Errorf(
			"one socket for the events of all namespaces needs CAP_NET_BROADCAST: each namespace gets its own: %w",
			err,
		),
	)
	return nil
}

// warn tells of what is left out, once for each subject.
func (h *Hosts) warn(subject string, err error) {
	h.mu.Lock()
	told := h.warned[subject]
	h.warned[subject] = true
	h.mu.Unlock()
	if !told && h.config.Warn != nil {
		h.config.Warn(err)
	}
}

// unreadable tells of processes whose network namespace the kernel does not tell
// us.
func unreadable(n int, root bool) error {
	what, have, belong := "1 process", "it may have a network namespace that is", "belongs"
	if n != 1 {
		what, have, belong = fmt.Sprintf("%d processes", n), "they may have network namespaces that are", "belong"
	}
	if root {
		return fmt.Errorf("the kernel hides %s even from root: %s left out", what, have)
	}
	return fmt.Errorf("%s %s to other users: %s left out; root sees all", what, belong, have)
}

// scan looks for namespaces that came and went.
func (h *Hosts) scan(ctx context.Context) error {
	h.scanning.Lock()
	defer h.scanning.Unlock()
	list, err := h.config.Search.List(ctx)
	if err != nil {
		return err
	}
	if list.Unreadable > 0 {
		h.warn("unreadable", unreadable(list.Unreadable, os.Geteuid() == 0))
	}
	listed := make(map[uint64]bool, len(list.Namespaces))
	for _, n := range list.Namespaces {
		listed[n.Inode] = true
	}
	h.leave(listed) // first: one that came may have the name of one that went
	room := h.room()
	for i, n := range list.Namespaces {
		if err := ctx.Err(); err != nil {
			return err
		}
		if m := h.member(n.Inode); m != nil {
			h.renumber(m)
			continue
		}
		if room <= 0 && !n.Current {
			h.warn("descriptors", crowded(len(list.Namespaces)-i, len(list.Namespaces)))
			break
		}
		room--
		m, err := h.open(n)
		if err != nil && n.Current {
			return err
		}
		if n.Name == "" && ended(err) {
			continue // the process has ended since it was listed: nothing is left out
		}
		if err != nil {
			h.warn(strconv.FormatUint(n.Inode, 10), entering(n, err))
			continue
		}
		h.join(m)
	}
	h.mu.Lock()
	h.scanned = time.Now()
	h.mu.Unlock()
	return nil
}

// ended reports whether the error says that the process through which a namespace was
// found is no more.
func ended(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }

// Open files that a member takes, and that are kept for all else; and how many members
// there may be.
const (
	descriptorsEach = 12
	descriptorsKept = 1200
	mostMembers     = 4096 // each may hold a thread, of which Go has 10,000 at most
)

// room returns how many more namespaces may be opened before the process has as many
// open files as it may have.
func (h *Hosts) room() int {
	most := openFiles()
	h.mu.Lock()
	defer h.mu.Unlock()
	return min(mostMembers, (most-min(descriptorsKept, most/4))/descriptorsEach) - len(h.members)
}

// openFiles returns how many files the process may have open.
func openFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<30))
}

// crowded says that namespaces are left out for want of descriptors.
func crowded(left, all int) error {
	if all-left >= mostMembers {
		return fmt.Errorf(
			"%d of %d network namespaces are left out: one process looks into at most %d; others can be looked "+
				"into one by one (-n)",
			left,
			all,
			mostMembers,
		)
	}
	return fmt.Errorf(
		"%d of %d network namespaces are left out: each takes %d open files, and this process may have %d "+
			"(RLIMIT_NOFILE: `ulimit -n`, or LimitNOFILE= of a unit, raises that)",
		left,
		all,
		descriptorsEach,
		openFiles(),
	)
}

// refresh looks for namespaces, unless Batches does or it was done just now.
func (h *Hosts) refresh(ctx context.Context) error {
	h.mu.Lock()
	due := h.follow == nil && time.Since(h.scanned) >= rescanProcesses
	h.mu.Unlock()
	if !due {
		return nil
	}
	return h.scan(ctx)
}

// entering says what is missing to enter a namespace.
func entering(n hostnet.NamedNamespace, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf(
			"network namespace %v is left out: entering it needs CAP_SYS_ADMIN, and CAP_NET_ADMIN in it for events: %w",
			n, err,
		)
	}
	return fmt.Errorf("network namespace %v is left out: %w", n, err)
}

func (h *Hosts) member(inode uint64) *member {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.members {
		if m.inode == inode {
			return m
		}
	}
	return nil
}

// open opens a namespace, with a listener of its own where its events come by no
// other.
func (h *Hosts) open(n hostnet.NamedNamespace) (*member, error) {
	m := &member{inode: n.Inode, current: n.Current, stop: func() {}, unwatch: func() {}}
	ns, err := hostnet.OpenNamespace(n.Path)
	if err != nil {
		return nil, err
	}
	// From here on the namespace cannot be replaced by another with its inode.
	defer func() {
		if m.Host == nil || m.home != ns {
			ns.Close()
		}
	}()
	if inode, err := ns.Inode(); err != nil || inode != n.Inode {
		return nil, fmt.Errorf("it has gone: %w", errors.Join(err, fs.ErrNotExist))
	}
	name := h.unique(n)
	config := &Config{Netns: name, others: seenAs{n.Name, cmp.Or(n.Container, n.Process)}}
	if n.Name == "" && n.PID != 0 {
		config.others.name = strconv.Itoa(n.PID)
	}
	if h.config.Events != nil {
		m.direct = h.main == nil || !n.Current && !h.remember(ns, name)
	}
	if m.direct {
		listen := *h.config.Events
		if listen.Engine == pathmanager.EngineAuto {
			listen.Engine = pathmanager.EngineNetlink // one ring is 16 MB, and namespaces may be hundreds
		}
		config.Events = &listen
	}
	if r := h.config.recorder; r != nil {
		m.dump = r.newDumper(name)
		config.taps = m.dump.taps()
		if m.direct {
			config.Events.Tap = m.dump.tapEvent
		}
	}
	if n.Current {
		m.Host, err = Dial(config)
		return m, err
	}
	config.home = ns
	if config.Enter = n.Name; n.Name == "" && n.PID != 0 {
		config.Enter = strconv.Itoa(n.PID)
	}
	err = ns.Do(func() (err error) {
		m.Host, err = Dial(config)
		return err
	})
	return m, err
}

// remember notes the number of a namespace, and reports whether it has one.
func (h *Hosts) remember(ns *hostnet.Namespace, name string) bool {
	id, ok, err := h.reader.NSID(ns)
	if err != nil || !ok {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.numbers[id] = number{name: name, held: true}
	return true
}

// renumber notes a number that a namespace was given since: from then on its events
// come by the main socket, too. Those by the socket of its own are kept, for no moment
// to change over is between two events.
func (h *Hosts) renumber(m *member) {
	if h.main != nil && !m.current && m.home != nil {
		h.remember(m.home, m.netns)
	}
}

// unique returns the name by which the namespace's objects are known: that in
// /run/netns, else its container, else a process in it.
func (h *Hosts) unique(n hostnet.NamedNamespace) string {
	name := n.String()
	if n.Name == "" && n.Container != "" {
		name = n.Container
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.ContainsFunc(h.members, func(m *member) bool { return m.netns == name }) {
		name += fmt.Sprintf(" net:[%d]", n.Inode)
	}
	return name
}

// join takes a member in.
func (h *Hosts) join(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members = append(h.members, m)
	if h.follow != nil {
		h.follow(m)
	}
	if h.watch != nil {
		h.watch(m)
	}
}

// leave lets go of the members that are not listed any more: while a socket is
// open in a namespace the kernel keeps it.
func (h *Hosts) leave(listed map[uint64]bool) {
	h.mu.Lock()
	var gone []*member
	h.members = slices.DeleteFunc(h.members, func(m *member) bool {
		left := !listed[m.inode] && !m.current
		if left {
			m.stop()
			m.unwatch()
			gone = append(gone, m)
		}
		return left
	})
	for _, m := range gone {
		for id, n := range h.numbers {
			if n.name == m.netns {
				h.numbers[id] = number{name: n.name, left: time.Now()} // what is on its way has that name still
			}
		}
	}
	h.mu.Unlock()
	for _, m := range gone {
		if m.read == nil {
			m.leave()
			continue
		}
		go func() {
			<-m.read // all that had come
			m.leave()
		}()
	}
}

// leave lets go of the namespace.
func (m *member) leave() {
	if m.dump != nil {
		m.dump.leave()
	}
	_ = m.close() // it only read
}

// close closes the member's sockets and its namespace.
func (m *member) close() error {
	err := m.Host.Close()
	if m.home != nil {
		err = errors.Join(err, m.home.Close())
	}
	return err
}

// Close closes all sockets.
func (h *Hosts) Close() error {
	h.mu.Lock()
	members := h.members
	h.members = nil
	for _, m := range members {
		m.stop()
		m.unwatch()
	}
	h.mu.Unlock()
	var errs []error
	for _, m := range members {
		errs = append(errs, m.close())
	}
	if h.main != nil {
		errs = append(errs, h.main.Close())
	}
	if h.reader != nil {
		errs = append(errs, h.reader.Close())
	}
	return errors.Join(errs...)
}

// list returns the members.
func (h *Hosts) list() []*member {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.members)
}

// Views returns the namespaces.
func (h *Hosts) Views() []source.View {
	var views []source.View
	for _, m := range h.list() {
		views = append(views, m.Host)
	}
	return views
}

// Engine names the way on which events come, "" where they were not asked for.
func (h *Hosts) Engine() string {
	if h.main != nil {
		return h.main.Engine().String() + ", one socket for all namespaces"
	}
	for _, m := range h.list() {
		if l := m.Listener(); l != nil {
			return l.Engine().String() + ", a socket for each namespace"
		}
	}
	return ""
}

// DeviceName returns the name of a device of the namespace, and whether that is
// known. It is foreign: escape it before showing.
func (h *Hosts) DeviceName(netns string, index int32) (string, bool) {
	m := h.named(netns)
	if m == nil {
		return "", false
	}
	return m.Host.DeviceName(index), true
}

// Refused returns how many messages did not come from the kernel.
func (h *Hosts) Refused() uint64 {
	var n uint64
	if h.main != nil {
		n = h.main.Refused()
	}
	for _, m := range h.list() {
		if l := m.Listener(); l != nil {
			n += l.Refused()
		}
	}
	return n
}

// Snapshots dumps all namespaces. Where nobody reads Batches it looks for those that
// came and went.
func (h *Hosts) Snapshots(ctx context.Context) ([]track.Snapshot, error) {
	if err := h.refresh(ctx); err != nil {
		return nil, err
	}
	members := h.list()
	read := make([]track.Snapshot, len(members))
	failed := make([]error, len(members))
	gather.Pool(ctx, len(members), func(i int) { read[i], failed[i] = members[i].Snapshot(ctx) })
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var snapshots []track.Snapshot
	for i, m := range members {
		switch err := failed[i]; {
		case errors.Is(err, fs.ErrClosed):
			continue // it has gone meanwhile
		case err != nil:
			return nil, fmt.Errorf("network namespace %s: %w", m.netns, err)
		}
		snapshots = append(snapshots, read[i])
	}
	return snapshots, nil
}

// named returns the member with that name, nil where it has gone.
func (h *Hosts) named(netns string) *member {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.members {
		if m.netns == netns {
			return m
		}
	}
	return nil
}

// gone reports whether the error only says that the namespace was left meanwhile.
func gone(err error) bool { return errors.Is(err, fs.ErrClosed) }

// Lookup asks the namespace for single connections.
func (h *Hosts) Lookup(ctx context.Context, netns string, tokens []mptcp.Token) ([]mptcp.Connection, error) {
	m := h.named(netns)
	if m == nil {
		return nil, nil
	}
	found, err := m.Lookup(ctx, netns, tokens)
	if gone(err) {
		return nil, nil
	}
	return found, err
}

// Sample returns the subflows of these connections.
func (h *Hosts) Sample(ctx context.Context, netns string, tokens []mptcp.Token) ([]track.SubflowRow, error) {
	m := h.named(netns)
	if m == nil {
		return nil, nil
	}
	rows, err := m.Sample(ctx, netns, tokens)
	if gone(err) {
		return nil, nil
	}
	return rows, err
}

// Namespace returns what a snapshot of the namespace says beside the sockets.
func (h *Hosts) Namespace(ctx context.Context, netns string) (*track.Snapshot, error) {
	m := h.named(netns)
	if m == nil {
		return nil, nil
	}
	s, err := m.Namespace(ctx, netns)
	if gone(err) {
		return nil, nil
	}
	return s, err
}

// Counters returns the counters of the namespace.
func (h *Hosts) Counters(ctx context.Context, netns string) (track.Counters, error) {
	m := h.named(netns)
	if m == nil {
		return nil, nil
	}
	return m.Counters(ctx, netns)
}
