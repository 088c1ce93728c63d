package chronicle

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Begin is the object of a line of the kind begin.
type Begin struct {
	Schema  int    `json:"schema"`
	Host    string `json:"host"`
	Boot    string `json:"boot"`
	Run     string `json:"run"`
	Program string `json:"program"`
	Kernel  string `json:"kernel"`
	// Events says why there are no events of the kernel, "" where there are.
	Events  string `json:"no_events,omitempty"`
	Carried uint64 `json:"carried"` // number of the line before, 0 for the first of all
}

// Host is the object of a line of the kind host: what is set in a network namespace.
type Host struct {
	Netns       string       `json:"netns"`
	PathManager string       `json:"path_manager"`
	Limits      mptcp.Limits `json:"limits"`
	Endpoints   []Endpoint   `json:"endpoints"`
	Links       []Link       `json:"links"`
	Addresses   []Address    `json:"addresses"`
	Listeners   []string     `json:"listeners"`
}

// Endpoint is an endpoint, with iproute2's keys.
type Endpoint struct {
	ID      uint8      `json:"id"`
	Address netip.Addr `json:"address"`
	Port    uint16     `json:"port,omitempty"`
	Flags   []string   `json:"flags"`
	Device  string     `json:"dev,omitempty"`
}

// Link is a network device.
type Link struct {
	Index   uint32 `json:"index"`
	Name    string `json:"name"`
	Up      bool   `json:"up"`
	Carrier bool   `json:"carrier"`
}

// Address is an address of a device.
type Address struct {
	Address netip.Addr `json:"address"`
	Link    uint32     `json:"link"`
}

// Begin appends what a file begins with: who tells, what is set, and which connections live.
func (t *Teller) Begin(b []byte, s *track.State) []byte {
	at := s.Time()
	object, err := json.Marshal(&Begin{
		Schema: Schema, Host: t.config.Host, Boot: t.config.Boot, Run: t.config.Run, Program: t.config.Program,
		Kernel: t.config.Kernel, Events: t.config.NoEvents, Carried: t.last,
	})
	if err != nil {
		panic(err) // it holds texts and numbers
	}
	b = t.line(b, at, KindBegin, mptcp.Pair{}, object)
	clear(t.hosts)
	b = t.settings(b, s)
	b = t.standing(b, at)
	for c := range s.All() {
		if _, ok := t.live[c.Key]; !ok {
			t.live[c.Key] = &known{
				print: fingerprint(t.seed, &c.Connection), told: !t.early(&c.Connection, 0),
				first: t.round, round: t.round,
			}
			if len(c.Connection.Processes) > 0 {
				t.held[c.Key] = c.Connection.Processes
			}
		}
		t.object = appendConnection(t.object[:0], "", "", c.Key, &c.Connection, nil, nil)
		b = t.line(b, at, KindState, c.Connection.Pair, t.object)
	}
	return b
}

// standing appends what goes on from the file before: counters and findings.
func (t *Teller) standing(b []byte, at time.Time) []byte {
	for _, netns := range slices.Sorted(maps.Keys(t.counted)) {
		if values := t.counted[netns]; len(values) > 0 {
			b = t.count(b, at, &Counted{Netns: netns, Total: true, Moved: values})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.found)) {
		b = t.line(b, at, KindFinding, mptcp.Pair{}, withChange(t.found[name], "holds"))
	}
	return b
}

// settings appends a host line for each namespace where something was changed.
func (t *Teller) settings(b []byte, s *track.State) []byte {
	namespaces := s.Namespaces()
	for i := range namespaces {
		n := &namespaces[i]
		object, err := json.Marshal(hostOf(n))
		if err != nil {
			panic(err) // as above
		}
		object = present.EscapeJSON(object)
		if t.hosts[n.Netns] == string(object) {
			continue
		}
		t.hosts[n.Netns] = string(object)
		b = t.line(b, s.Time(), KindHost, mptcp.Pair{}, object)
	}
	return b
}

func hostOf(n *track.Snapshot) *Host {
	h := &Host{
		Netns: n.Netns, PathManager: n.PathManager, Limits: n.Limits,
		Endpoints: []Endpoint{}, Links: []Link{}, Addresses: []Address{}, Listeners: []string{},
	}
	for i := range n.Endpoints {
		e := &n.Endpoints[i]
		h.Endpoints = append(h.Endpoints, Endpoint{
			ID: uint8(e.ID), Address: e.Address, Port: e.Port, Flags: flags(e), Device: bound(n, e),
		})
	}
	for _, l := range n.Links {
		h.Links = append(h.Links, Link{l.Index, l.Name, l.Up, l.Carrier})
	}
	for _, a := range n.Addresses {
		h.Addresses = append(h.Addresses, Address{a.Addr, a.IfIndex})
	}
	for _, l := range n.Listeners {
		h.Listeners = append(h.Listeners, l.String())
	}
	slices.SortFunc(h.Endpoints, func(a, b Endpoint) int { return int(a.ID) - int(b.ID) })
	slices.SortFunc(h.Links, func(a, b Link) int { return int(a.Index) - int(b.Index) })
	slices.SortFunc(h.Addresses, func(a, b Address) int { return a.Address.Compare(b.Address) })
	slices.Sort(h.Listeners)
	h.Listeners = slices.Compact(h.Listeners)
	return h
}

func flags(e *mptcp.Endpoint) []string {
	return append([]string{}, e.Flags.Names()...)
}

// bound returns the name of the device that the endpoint's subflows are bound to.
func bound(n *track.Snapshot, e *mptcp.Endpoint) string {
	for i := range n.Links {
		if e.IfIndex > 0 && n.Links[i].Index == uint32(e.IfIndex) {
			return n.Links[i].Name
		}
	}
	return ""
}
