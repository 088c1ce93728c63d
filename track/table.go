package track

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"time"

	"mptcpctl/internal/pages"
	"mptcpctl/mptcp"
)

// A table holds connections in columns. A column is a list of pages of 256 records, so
// that a state can be frozen by copying the lists of pages alone: the writer copies a page
// before the first change after a freeze, and all states share the pages that have not
// changed. A connection has a slot, its number in the first three columns:
//
//	           slot 0    slot 1    slot 2
//	core     [ token … | token … | free    ]   what a list of connections shows
//	first    [ figures | figures | –       ]   the initial subflow
//	detail   [ figures | figures | –       ]   what a close look needs, below slot Config.Details
//
// A record of core points on by numbers, never by pointers:
//
//	core.local  ──► locals   addresses of this host with their namespaces, each once, counted
//	core.remote ──► v6       only IPv6: an IPv4 address stands in the field itself
//	core.join   ──► joins    the first of the other subflows
//	                joins[i].next ──► joins[j].next ──► 0
//	                joins[i].local, .remote ──► locals, v6, as above
//
// index finds the slot of a token in a namespace (see index.go). words are texts that many
// connections share, such as causes of a fallback. Numbers that may be absent are stored
// plus one, so that 0 means none.

// view is a table for reading: a frozen one, or the live one in the hands of its only
// writer.
type view struct {
	core      pages.Table[core]
	first     pages.Table[figures] // by slot
	detail    pages.Table[detail]  // by slot
	joins     pages.Table[join]
	v6        pages.Table[[16]byte]
	locals    pages.Table[local]
	index     pages.Table[uint32]
	indexSize uint32
	words     []string
}

// writable is what the columns of the same names are written through, and what is known
// of their free records.
type writable struct {
	core   pages.Writer[core]
	first  pages.Writer[figures]
	detail pages.Writer[detail]
	joins  pages.Store[join]
	v6     pages.Store[[16]byte]
	locals interner
	index  pages.Index
}

// local is an address of this host within its namespace.
type local struct {
	netns string
	hash  uint32 // of netns
	addr  netip.Addr
}

// record is a connection as the tracker works on it.
type record struct {
	mptcp.Connection
	instance uint32
	history  uint32
	flags    coreFlags // of coreKept
}

func (r *record) key() mptcp.Key {
	return mptcp.Key{Netns: r.Netns, Token: r.Token, Instance: r.instance}
}

// find returns the slot of the live connection with the token.
func (v *view) find(netns string, token mptcp.Token) (uint32, bool) {
	return pages.Probe(v.index, v.indexSize, spread(uint32(token), netnsHash(netns)), func(slot uint32) bool {
		c := v.core.At(slot)
		return c.token == uint32(token) && v.locals.At(c.local).netns == netns
	})
}

// all returns the slots of the live connections, lowest first.
func (v *view) all() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for p, page := range v.core {
			if page == nil {
				continue
			}
			for i := range page {
				if page[i].flags&coreHere != 0 && !yield(uint32(p*pages.Len+i)) {
					return
				}
			}
		}
	}
}

// load reads a connection. The subflows go into the record's slice as far as it
// has room.
func (v *view) load(slot uint32, r *record) {
	c := v.core.At(slot)
	l := v.locals.At(c.local)
	subflows := r.Subflows[:0]
	*r = record{instance: uint32(c.instance), history: c.history, flags: c.flags & coreKept}
	r.Token, r.Netns, r.Family = mptcp.Token(c.token), l.netns, mptcp.FamilyINET
	if c.flags&coreINET6 != 0 {
		r.Family = mptcp.FamilyINET6
	}
	r.State, r.Side = mptcp.SocketState(c.state&0xf), mptcp.Side(c.state>>4)
	r.Fallback, r.FallbackCause = c.flags&coreFallback != 0, v.words[c.cause]
	r.Checksum, r.PathManager = c.flags&coreChecksum != 0, v.words[c.manager]
	r.Local = netip.AddrPortFrom(l.addr, c.sport)
	r.Remote = netip.AddrPortFrom(v.remote(c.remote, c.flags), c.dport)
	if c.since != 0 {
		r.Since = time.Unix(0, c.since)
	}
	if v.detail.Has(slot) {
		v.detail.At(slot).unpack(&r.Connection)
	}
	if v.first.Has(slot) && v.first.At(slot).flags&figureHere != 0 {
		subflows = append(subflows, mptcp.Subflow{Local: r.Local, Remote: r.Remote, Initial: true, Inode: r.Inode})
		v.first.At(slot).unpack(&subflows[0])
	}
	for next := c.join; next != 0; {
		j := v.joins.At(next - 1)
		subflows = append(subflows, mptcp.Subflow{
			Local:   netip.AddrPortFrom(v.locals.At(j.local).addr, j.sport),
			Remote:  netip.AddrPortFrom(v.remote(j.remote, j.flags), j.dport),
			LocalID: mptcp.AddressID(j.localID), RemoteID: mptcp.AddressID(j.remoteID),
			TokenRemote: mptcp.Token(j.tokenRemote), Inode: r.Inode, Initial: j.flags&joinInitial != 0,
		})
		j.unpack(&subflows[len(subflows)-1])
		next = j.next
	}
	r.Subflows = subflows
}

// remote returns the address that the number stands for.
func (v *view) remote(n uint32, flags coreFlags) netip.Addr {
	if flags&coreV6 != 0 {
		return netip.AddrFrom16(*v.v6.At(n))
	}
	if n == noAddress {
		return netip.Addr{}
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}

// noAddress stands for no address in place of an IPv4 one: 255.255.255.255 is
// nobody's.
const noAddress = 1<<32 - 1

// netnsHash returns the hash of a namespace's name (FNV-1a), 0 for the usual one.
func netnsHash(name string) uint32 {
	if name == "" {
		return 0
	}
	var h uint32 = 2166136261
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return h
}

// table is the table of live connections for its writer.
type table struct {
	view
	writable writable
	detailed uint32      // slots below it have details
	slots    pages.Slots // of connections
	counts   Counts
	before   record // scratch: what update replaces
}

func newTable(details int) *table {
	t := &table{detailed: uint32(details)}
	w := &t.writable
	w.core.Table, w.first.Table, w.detail.Table = &t.core, &t.first, &t.detail
	w.joins.Table, w.v6.Table, w.locals.Table = &t.joins, &t.v6, &t.locals
	w.index.On(&t.index)
	t.words = []string{""}
	w.locals.numbers = make(map[local]uint32)
	return t
}

// freeze returns the table as it is now.
func (t *table) freeze() view {
	w := &t.writable
	return view{
		core: w.core.Freeze(), first: w.first.Freeze(), detail: w.detail.Freeze(),
		joins: w.joins.Freeze(), v6: w.v6.Freeze(), locals: w.locals.Freeze(),
		index: w.index.Freeze(), indexSize: w.index.Size(), words: t.words,
	}
}

// insert adds a connection that the table does not have.
func (t *table) insert(r *record) uint32 {
	slot := t.slots.Take()
	t.write(slot, r)
	t.writable.index.Insert(slot, t.hash(slot), t.hash)
	t.indexSize = t.writable.index.Size()
	return slot
}

// update replaces a connection by what the record says. The key may not change.
func (t *table) update(slot uint32, r *record) {
	t.load(slot, &t.before)
	t.counts.add(&t.before.Connection, -1)
	t.release(slot)
	t.write(slot, r)
}

// remove takes a connection out.
func (t *table) remove(slot uint32) {
	t.load(slot, &t.before)
	t.counts.add(&t.before.Connection, -1)
	t.writable.index.Remove(slot, t.hash(slot), t.hash)
	t.indexSize = t.writable.index.Size()
	t.release(slot)
	*t.writable.core.At(slot) = core{}
	if t.slots.Give(slot) {
		t.writable.core.Drop(slot / pages.Len)
		t.writable.first.Drop(slot / pages.Len)
		t.writable.detail.Drop(slot / pages.Len)
	}
}

// hash returns the hash of the connection in the slot.
func (t *table) hash(slot uint32) uint32 {
	c := t.core.At(slot)
	return spread(c.token, t.locals.At(c.local).hash)
}

// release frees what the connection has in other tables.
func (t *table) release(slot uint32) {
	c := t.core.At(slot)
	if c.flags&coreV6 != 0 {
		t.writable.v6.Remove(c.remote)
	}
	t.writable.locals.release(c.local)
	for next := c.join; next != 0; {
		j := t.joins.At(next - 1)
		if j.flags&coreV6 != 0 {
			t.writable.v6.Remove(j.remote)
		}
		t.writable.locals.release(j.local)
		gone := next - 1
		next = j.next
		t.writable.joins.Remove(gone)
	}
}

// write fills the slot, whose parts in other tables are free.
func (t *table) write(slot uint32, r *record) {
	c := core{
		token: uint32(r.Token), instance: uint16(r.instance), history: r.history, flags: r.flags,
		sport: r.Local.Port(), dport: r.Remote.Port(),
		state: uint8(r.State)&0xf | uint8(r.Side)<<4,
		cause: t.word(r.FallbackCause), manager: t.word(r.PathManager),
	}
	if !r.Since.IsZero() {
		c.since = r.Since.UnixNano()
	}
	c.flags |= coreHere
	c.flags.set(coreINET6, r.Family == mptcp.FamilyINET6)
	c.flags.set(coreFallback, r.Fallback)
	c.flags.set(coreChecksum, r.Checksum)
	c.local = t.writable.locals.number(r.Netns, r.Local.Addr())
	c.remote = t.address(r.Remote.Addr(), &c.flags)
	var first figures
	for i := len(r.Subflows) - 1; i >= 0; i-- {
		s := &r.Subflows[i]
		if s.Initial && first.flags == 0 && s.Local == r.Local && s.Remote == r.Remote && s.LocalID == 0 &&
			s.RemoteID == 0 {
			first = packFigures(s)
			continue
		}
		j := join{
			figures: packFigures(s), next: c.join, tokenRemote: uint32(s.TokenRemote),
			sport: s.Local.Port(), dport: s.Remote.Port(), localID: uint8(s.LocalID), remoteID: uint8(s.RemoteID),
		}
		j.local = t.writable.locals.number(r.Netns, s.Local.Addr())
		j.remote = t.address(s.Remote.Addr(), &j.flags)
		j.flags.set(joinInitial, s.Initial)
		c.join = t.writable.joins.Add(j) + 1
	}
	*t.writable.core.At(slot) = c
	if first.flags != 0 || t.first.Has(slot) {
		*t.writable.first.At(slot) = first
	}
	if slot < t.detailed {
		*t.writable.detail.At(slot) = packDetail(&r.Connection)
	}
	t.counts.add(&r.Connection, 1)
}

// set switches a flag.
func (f *coreFlags) set(flag coreFlags, on bool) {
	if on {
		*f |= flag
	}
}

// address returns the number of a remote address, and marks IPv6 in the flags.
func (t *table) address(a netip.Addr, flags *coreFlags) uint32 {
	switch {
	case !a.IsValid():
		return noAddress
	case a.Is4():
		b := a.As4()
		return binary.BigEndian.Uint32(b[:])
	}
	*flags |= coreV6
	return t.writable.v6.Add(a.As16())
}

// word returns the number of a word. There are few of them; should foreign ones
// exceed what a byte counts, the rest is unknown.
func (t *table) word(w string) uint8 {
	for i, known := range t.words {
		if known == w {
			return uint8(i)
		}
	}
	if len(t.words) > 255 {
		return 0
	}
	// A new slice: frozen views keep the old one.
	t.words = append(t.words[:len(t.words):len(t.words)], w)
	return uint8(len(t.words) - 1)
}

// interner numbers local addresses, of which a host has few for many connections.
type interner struct {
	pages.Store[local]
	numbers map[local]uint32
	uses    []uint32
}

// number returns the number of an address and counts one use of it.
func (n *interner) number(netns string, a netip.Addr) uint32 {
	l := local{netns, netnsHash(netns), a.WithZone("")}
	i, ok := n.numbers[l]
	if !ok {
		i = n.Add(l)
		n.numbers[l] = i
		for uint32(len(n.uses)) <= i {
			n.uses = append(n.uses, 0)
		}
	}
	n.uses[i]++
	return i
}

// release counts one use less.
func (n *interner) release(i uint32) {
	if n.uses[i]--; n.uses[i] == 0 {
		delete(n.numbers, *n.Table.At(i))
		n.Remove(i)
	}
}

// spread mixes the bits of a token with the hash of its namespace.
func spread(token, netns uint32) uint32 {
	h := (token ^ netns) * 0x9e3779b1
	return h ^ h>>15
}
