package present

import (
	"strconv"

	"mptcpctl/mptcp"
)

// EndpointText renders endpoints as `ip mptcp endpoint show` does: each field is
// followed by a blank, the last one too.
type EndpointText struct {
	Colors Palette
	Device func(index int32) string // the name of a device
	End    string                   // of a record; "" is a line break
	Netns  string                   // shown where it is not ""
}

// Append appends the endpoint's record.
func (f *EndpointText) Append(b []byte, e *mptcp.Endpoint) []byte {
	if e.Address.IsValid() {
		color := f.Colors.IPv4
		if !e.Address.Is4() {
			color = f.Colors.IPv6
		}
		b = append(b, color...)
		b = AppendAddress(b, e.Address)
		b = append(b, ' ')
		b = append(b, f.reset(color)...)
	}
	if e.Port != 0 {
		b = append(b, "port "...)
		b = strconv.AppendUint(b, uint64(e.Port), 10)
		b = append(b, ' ')
	}
	b = append(b, "id "...)
	b = strconv.AppendUint(b, uint64(e.ID), 10)
	b = append(b, ' ')
	for _, name := range e.Flags.Names() {
		b = append(b, name...)
		b = append(b, ' ')
	}
	if rest := e.Flags.Unknown(); rest != 0 {
		b = append(b, "rawflags "...)
		b = append(b, rawFlags(rest)...)
		b = append(b, ' ')
	}
	if e.IfIndex != 0 {
		b = append(b, "dev "...)
		b = append(b, f.Colors.Device...)
		b = append(b, Escape(f.Device(e.IfIndex))...)
		b = append(b, ' ')
		b = append(b, f.reset(f.Colors.Device)...)
	}
	if f.Netns != "" {
		b = append(appendNetns(b[:len(b)-1], f.Netns), ' ')
	}
	if f.End == "" {
		return append(b, '\n')
	}
	return append(b, f.End...)
}

// appendNetns appends the name of the network namespace, unless it is the reader's
// own.
func appendNetns(b []byte, netns string) []byte {
	if netns == "" {
		return b
	}
	b = append(b, " netns "...)
	return append(b, Escape(netns)...)
}

func (f *EndpointText) reset(color string) string {
	if color == "" {
		return ""
	}
	return f.Colors.Reset
}

// EndpointJSON renders endpoints as `ip -j mptcp endpoint show` does, with Pretty
// as `ip -j -p` does.
type EndpointJSON struct {
	Pretty bool
	Device func(index int32) string // the name of a device
}

// EndpointList is the endpoints of one network namespace.
type EndpointList struct {
	Netns     string // "" for the reader's own, and then no key
	Endpoints []mptcp.Endpoint
	Device    func(index int32) string // the name of a device there
}

// Append appends the array of all endpoints.
func (f *EndpointJSON) Append(b []byte, endpoints []mptcp.Endpoint) []byte {
	return f.AppendLists(b, []EndpointList{{Endpoints: endpoints, Device: f.Device}})
}

// AppendLists appends one array of the endpoints of several namespaces.
func (f *EndpointJSON) AppendLists(b []byte, lists []EndpointList) []byte {
	a := objects{b: b, pretty: f.Pretty}
	for i := range lists {
		a.endpoints(&lists[i])
	}
	return a.end()
}

func (a *objects) endpoints(l *EndpointList) {
	for i := range l.Endpoints {
		e := &l.Endpoints[i]
		a.open()
		if e.Address.IsValid() {
			a.text("address", string(AppendAddress(nil, e.Address)))
		}
		if e.Port != 0 {
			a.number("port", uint64(e.Port))
		}
		a.number("id", uint64(e.ID))
		for _, name := range e.Flags.Names() {
			a.key(name)
			a.b = append(a.b, "true"...)
		}
		if rest := e.Flags.Unknown(); rest != 0 {
			a.text("rawflags", rawFlags(rest))
		}
		if e.IfIndex != 0 {
			a.text("dev", l.Device(e.IfIndex))
		}
		if l.Netns != "" {
			a.text("netns", l.Netns)
		}
		a.close()
	}
}

// rawFlags returns the bits as iproute2 prints them: at least two hexadecimal
// digits.
func rawFlags(f mptcp.EndpointFlags) string {
	s := strconv.FormatUint(uint64(f), 16)
	if len(s) < 2 {
		s = "0" + s
	}
	return s
}

// objects builds an array of flat objects in iproute2's layout.
type objects struct {
	b      []byte
	pretty bool
	count  int // of objects
	keys   int // of the open object
}

func (a *objects) open() {
	switch {
	case a.count == 0 && a.pretty:
		a.b = append(a.b, "[ {"...)
	case a.count == 0:
		a.b = append(a.b, "[{"...)
	default:
		a.b = append(a.b, ",{"...)
	}
	a.count++
	a.keys = 0
}

func (a *objects) key(name string) {
	if a.keys > 0 {
		a.b = append(a.b, ',')
	}
	a.keys++
	if a.pretty {
		a.b = append(a.b, "\n        "...)
	}
	a.b = AppendString(a.b, name)
	a.b = append(a.b, ':')
	if a.pretty {
		a.b = append(a.b, ' ')
	}
}

func (a *objects) text(name, value string) {
	a.key(name)
	a.b = AppendString(a.b, value)
}

func (a *objects) number(name string, value uint64) {
	a.key(name)
	a.b = strconv.AppendUint(a.b, value, 10)
}

func (a *objects) close() {
	if a.pretty {
		a.b = append(a.b, "\n    "...)
	}
	a.b = append(a.b, '}')
}

func (a *objects) end() []byte {
	switch {
	case a.count == 0 && a.pretty:
		a.b = append(a.b, "[ ]\n"...)
	case a.count == 0:
		a.b = append(a.b, "[]\n"...)
	case a.pretty:
		a.b = append(a.b, " ]\n"...)
	default:
		a.b = append(a.b, "]\n"...)
	}
	return a.b
}
