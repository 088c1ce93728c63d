package traffic

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

const (
	peersMax  = 20 // that are shown; the rest is one
	deviceMax = 12
	busyMax   = 5
)

// Map is who talks to whom, over which device.
type Map struct {
	Time    time.Time `json:"time"`
	Window  float64   `json:"window"` // in seconds, of the rates; 0 where there are none yet
	By      By        `json:"by"`
	Devices []Place   `json:"devices"`
	Peers   []Peer    `json:"peers"` // the largest first; "" is the name of the rest
	Ribbons []Ribbon  `json:"ribbons"`
	Limits  []Limit   `json:"limits"`
	Busiest []Busy    `json:"-"` // the connections that move most, the first of them at most
}

// Busy is a connection that moves much.
type Busy struct {
	Key            mptcp.Key
	Sent, Received uint64 // bytes a second
}

// Place is a device of this host on the map.
type Place struct {
	Device
	Color     int       `json:"color"` // its place in the points; -1: it has none
	Up        bool      `json:"up"`
	Carrier   bool      `json:"carrier"`
	Known     bool      `json:"known"` // there is a link of that name
	Addresses []Address `json:"addresses"`
	Load
}

// Address is an address of a device, with the endpoint that it has.
type Address struct {
	Address  netip.Addr `json:"address"`
	Endpoint int        `json:"endpoint"` // its id; 0: it has none
	Flags    []string   `json:"flags"`
}

// Peer is one of those that this host talks to, or what is left of them.
type Peer struct {
	Name        string `json:"name"` // a process's is foreign: escape it before showing
	Netns       string `json:"netns"`
	Several     int    `json:"several"` // how many peers the rest is; 0: it is one
	Connections int    `json:"connections"`
	Fallbacks   int    `json:"fallbacks"`
	Cause       string `json:"cause,omitempty"` // of a fallback
	Sent        uint64 `json:"tx"`
	Received    uint64 `json:"rx"`
}

// Ribbon is the subflows of one state between a device and a peer.
type Ribbon struct {
	Device   int    `json:"device"` // index in Devices
	Peer     int    `json:"peer"`   // index in Peers
	State    string `json:"state"`  // established, backup, pending, silent, failed, fallback
	Subflows int    `json:"n"`
	Sent     uint64 `json:"tx"` // bytes a second
	Received uint64 `json:"rx"`
	RTT      uint32 `json:"rtt"`              // microseconds, of the slowest
	Reason   string `json:"reason,omitempty"` // of a failed one
}

// Limit is a limit of a namespace, and how far its connections use it.
type Limit struct {
	Netns           string `json:"netns"`
	Subflows        uint32 `json:"subflows"`          // additional ones of a connection
	AddAddrAccepted uint32 `json:"add_addr_accepted"` // announced addresses of a connection
	Connections     int    `json:"connections"`
	Most            int    `json:"most"`    // additional subflows of the connection that has most
	Reached         int    `json:"reached"` // connections that have as many as they may
}

// Map returns the map of the newest state, nil where there is none.
func (m *Meter) Map(by By) *Map {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.steps) == 0 {
		return nil
	}
	if m.maps[by] == nil {
		m.maps[by] = m.draw(by)
	}
	return m.maps[by]
}

// ribbonKey is what the subflows of a ribbon have in common.
type ribbonKey struct {
	device Device
	peer   peerKey
	state  string
}

// drawing is a map that is being made.
type drawing struct {
	state   *track.State
	by      By
	peers   map[peerKey]*Peer
	ribbons map[ribbonKey]*Ribbon
	loads   map[Device]*sums
	limits  map[string]*Limit
	busiest []Busy
}

func (m *Meter) draw(by By) *Map {
	before, now, seconds := m.window()
	d := &drawing{
		now.state, by, make(map[peerKey]*Peer), make(map[ribbonKey]*Ribbon), make(map[Device]*sums),
		make(map[string]*Limit), nil,
	}
	for c, then := range now.state.Since(before) {
		d.add(&c.Connection, then)
		d.compare(c, then)
	}
	for i := range m.failures {
		d.addFailure(&m.failures[i])
	}
	v := &Map{
		Time: now.at.UTC(), Window: seconds, By: by, Devices: []Place{}, Peers: []Peer{}, Limits: []Limit{},
	}
	places := d.places(v, m, seconds)
	peers := d.ranked(v)
	d.finish(v, places, peers, seconds)
	for _, b := range d.busiest {
		v.Busiest = append(v.Busiest, Busy{b.Key, perSecond(b.Sent, seconds), perSecond(b.Received, seconds)})
	}
	for _, n := range now.state.Namespaces() {
		l := Limit{Netns: n.Netns}
		if d.limits[n.Netns] != nil {
			l = *d.limits[n.Netns]
		}
		l.Subflows, l.AddAddrAccepted = n.Limits.Subflows, n.Limits.AddAddrAccepted
		v.Limits = append(v.Limits, l)
	}
	return v
}

// add takes a connection into account.
func (d *drawing) add(c *mptcp.Connection, then *track.Tracked) {
	key := d.by.key(d.state, c.Netns, c.Inode, c.Remote.Addr())
	p := d.peer(key)
	p.Connections++
	if c.Fallback {
		p.Fallbacks++
		p.Cause = cmp.Or(c.FallbackCause, p.Cause)
		if len(c.Subflows) == 0 {
			d.addPlain(c, then, key)
		}
	}
	d.addLimits(c)
	for i := range c.Subflows {
		f := &c.Subflows[i]
		state := look(c, f)
		if state == "" {
			continue
		}
		device := Device{c.Netns, f.Device}
		if d.loads[device] == nil {
			d.loads[device] = &sums{}
		}
		d.loads[device].add(f, then)
		sent, received := moved(f, then)
		r := d.ribbon(ribbonKey{device, d.by.key(d.state, c.Netns, c.Inode, f.Remote.Addr()), state})
		r.Subflows++
		r.Sent, r.Received, r.RTT = r.Sent+sent, r.Received+received, max(r.RTT, f.RTTMicros)
	}
}

// compare keeps a connection that moves more than one of the busiest.
func (d *drawing) compare(c, then *track.Tracked) {
	b := Busy{Key: c.Key}
	for i := range c.Connection.Subflows {
		sent, received := moved(&c.Connection.Subflows[i], then)
		b.Sent, b.Received = b.Sent+sent, b.Received+received
	}
	more := func(o Busy) bool { return b.Sent+b.Received > o.Sent+o.Received }
	place := slices.IndexFunc(d.busiest, more)
	switch {
	case b.Sent+b.Received == 0:
	case place >= 0:
		d.busiest = slices.Insert(d.busiest, place, b)
		d.busiest = d.busiest[:min(len(d.busiest), busyMax)]
	case len(d.busiest) < busyMax:
		d.busiest = append(d.busiest, b)
	}
}

// addPlain takes a connection into account that fell back and whose socket the kernel does
// not list as a subflow.
func (d *drawing) addPlain(c *mptcp.Connection, then *track.Tracked, key peerKey) {
	r := d.ribbon(ribbonKey{d.carrier(c.Netns, c.Local.Addr()), key, "fallback"})
	r.Subflows++
	if then != nil {
		r.Sent += c.BytesSent - min(c.BytesSent, then.Connection.BytesSent)
		r.Received += c.BytesReceived - min(c.BytesReceived, then.Connection.BytesReceived)
	}
}

// carrier returns the device that holds an address, and sees to it that it is on the map.
func (d *drawing) carrier(netns string, a netip.Addr) Device {
	device := Device{Netns: netns}
	if n := d.state.Namespace(netns); n != nil {
		device.Name = holder(n, a)
	}
	if d.loads[device] == nil {
		d.loads[device] = &sums{}
	}
	return device
}

func (d *drawing) addFailure(f *failed) {
	key := d.by.key(d.state, f.netns, f.inode, f.remote)
	r := d.ribbon(ribbonKey{d.carrier(f.netns, f.local), key, "failed"})
	r.Subflows++
	r.Reason = cmp.Or(f.reason, r.Reason)
}

func (d *drawing) addLimits(c *mptcp.Connection) {
	l := d.limits[c.Netns]
	if l == nil {
		l = &Limit{Netns: c.Netns}
		d.limits[c.Netns] = l
	}
	l.Connections++
	l.Most = max(l.Most, int(c.Limits.Subflows))
	if c.Limits.Full() {
		l.Reached++
	}
}

func (d *drawing) peer(k peerKey) *Peer {
	if d.peers[k] == nil {
		d.peers[k] = &Peer{Name: k.name(), Netns: k.netns}
	}
	return d.peers[k]
}

func (d *drawing) ribbon(k ribbonKey) *Ribbon {
	if d.ribbons[k] == nil {
		d.ribbons[k] = &Ribbon{State: k.state}
		d.peer(k.peer)
	}
	return d.ribbons[k]
}

// look returns how a subflow is drawn, "" where it is not.
func look(c *mptcp.Connection, f *mptcp.Subflow) string {
	switch {
	case f.State == mptcp.SubflowClosed:
		return ""
	case c.Fallback:
		return "fallback"
	case f.State == mptcp.SubflowSilent || f.State == mptcp.SubflowStale:
		return "silent"
	case f.State == mptcp.SubflowPending:
		return "pending"
	case f.BackupLocal || f.BackupRemote:
		return "backup"
	}
	return "established"
}

// places puts the devices on the map, and returns where each is. Beyond the most that are
// shown, those with the fewest subflows are one.
func (d *drawing) places(v *Map, m *Meter, seconds float64) map[Device]int {
	all := make(map[Device]*Place)
	for device, s := range d.loads {
		all[device] = &Place{Device: device, Load: s.load(0, seconds)}
	}
	for _, n := range d.state.Namespaces() {
		addresses(&n, all)
	}
	list := sorted(all)
	slices.SortStableFunc(list, func(a, b Device) int { return cmp.Compare(all[b].Subflows, all[a].Subflows) })
	index := make(map[Device]int, len(list))
	for i, device := range list {
		index[device] = min(i, deviceMax-1)
		p := all[device]
		p.Color = slices.Index(m.devices, device)
		p.Load.Device = p.Color
		if i < deviceMax {
			v.Devices = append(v.Devices, *p)
			continue
		}
		last := &v.Devices[deviceMax-1]
		last.Name, last.Netns, last.Color, last.Addresses, last.Known = "", "", -1, []Address{}, false
		last.Sent, last.Received = last.Sent+p.Sent, last.Received+p.Received
		last.Subflows += p.Subflows
	}
	return index
}

// addresses puts the addresses of a namespace at their devices, with their endpoints. A device
// without a subflow is shown where it holds an address that could have one.
func addresses(n *track.Snapshot, all map[Device]*Place) {
	names := make(map[uint32]string, len(n.Links))
	for _, l := range n.Links {
		names[l.Index] = l.Name
	}
	for _, a := range n.Addresses {
		device := Device{n.Netns, names[a.IfIndex]}
		if all[device] == nil {
			if a.Addr.IsLoopback() || a.Addr.IsLinkLocalUnicast() || device.Name == "" {
				continue
			}
			all[device] = &Place{Device: device}
		}
		if a.Addr.IsLinkLocalUnicast() {
			continue
		}
		all[device].Addresses = append(all[device].Addresses, withEndpoint(n, a.Addr))
	}
	for _, l := range n.Links {
		if p := all[Device{n.Netns, l.Name}]; p != nil {
			p.Known, p.Up, p.Carrier = true, l.Up, l.Carrier
		}
	}
	for device, p := range all {
		if device.Netns == n.Netns && p.Addresses == nil {
			p.Addresses = []Address{}
		}
	}
}

func withEndpoint(n *track.Snapshot, a netip.Addr) Address {
	v := Address{Address: a, Flags: []string{}}
	for i := range n.Endpoints {
		if e := &n.Endpoints[i]; e.Address.Unmap() == a {
			v.Endpoint, v.Flags = int(e.ID), append(v.Flags, e.Flags.Names()...)
			break
		}
	}
	return v
}

// holder returns the name of the device that holds an address, "" where none does.
func holder(n *track.Snapshot, a netip.Addr) string {
	for _, fact := range n.Addresses {
		if fact.Addr != a.Unmap() {
			continue
		}
		for _, l := range n.Links {
			if l.Index == fact.IfIndex {
				return l.Name
			}
		}
	}
	return ""
}

// ranked puts the peers on the map, those that move most first, and returns where each is.
func (d *drawing) ranked(v *Map) map[peerKey]int {
	for k, r := range d.ribbons {
		p := d.peers[k.peer]
		p.Sent, p.Received = p.Sent+r.Sent, p.Received+r.Received
	}
	keys := make([]peerKey, 0, len(d.peers))
	for k := range d.peers {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b peerKey) int {
		p, o := d.peers[a], d.peers[b]
		return cmp.Or(cmp.Compare(o.Sent+o.Received, p.Sent+p.Received), cmp.Compare(o.Connections, p.Connections),
			strings.Compare(p.Netns, o.Netns), a.compare(b))
	})
	most := peersMax
	if len(keys) <= peersMax+1 {
		most = len(keys) // a rest of one is that one
	}
	index := make(map[peerKey]int, len(keys))
	for i, k := range keys {
		index[k] = min(i, most)
		p := d.peers[k]
		if i < most {
			v.Peers = append(v.Peers, *p)
			continue
		}
		if i == most {
			v.Peers = append(v.Peers, Peer{})
		}
		rest := &v.Peers[most]
		rest.Several++
		rest.Connections, rest.Fallbacks = rest.Connections+p.Connections, rest.Fallbacks+p.Fallbacks
		rest.Sent, rest.Received = rest.Sent+p.Sent, rest.Received+p.Received
		rest.Cause = cmp.Or(rest.Cause, p.Cause)
	}
	return index
}

// finish puts the ribbons on the map, and makes rates of sums.
func (d *drawing) finish(v *Map, places map[Device]int, peers map[peerKey]int, seconds float64) {
	type between struct {
		device, peer int
		state        string
	}
	joined := make(map[between]*Ribbon)
	for k, r := range d.ribbons {
		b := between{places[k.device], peers[k.peer], k.state}
		if joined[b] == nil {
			joined[b] = &Ribbon{Device: b.device, Peer: b.peer, State: b.state}
		}
		j := joined[b]
		j.Subflows, j.Sent, j.Received = j.Subflows+r.Subflows, j.Sent+r.Sent, j.Received+r.Received
		j.RTT, j.Reason = max(j.RTT, r.RTT), max(j.Reason, r.Reason)
	}
	v.Ribbons = make([]Ribbon, 0, len(joined))
	for _, r := range joined {
		r.Sent, r.Received = perSecond(r.Sent, seconds), perSecond(r.Received, seconds)
		v.Ribbons = append(v.Ribbons, *r)
	}
	slices.SortFunc(v.Ribbons, func(a, b Ribbon) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), cmp.Compare(a.Peer, b.Peer), strings.Compare(a.State, b.State))
	})
	for i := range v.Peers {
		p := &v.Peers[i]
		p.Sent, p.Received = perSecond(p.Sent, seconds), perSecond(p.Received, seconds)
	}
}
