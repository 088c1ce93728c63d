package tui

import (
	"fmt"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// usage is how far endpoints and limits are used, of one network namespace.
type usage struct {
	connections int
	endpoints   map[mptcp.AddressID]int // connections with a subflow from it
	atLimit     int                     // connections with as many subflows as they may have
	most        int                     // extra subflows of one connection
	accepted    int                     // addresses accepted by one connection, at most
}

// usages is how far endpoints and limits are used in each namespace, as of a
// moment.
type usages struct {
	by   map[string]usage
	of   *track.State
	when time.Time
}

// measure goes through all connections, where there are many at most once a
// second.
func (u *usages) measure(s *track.State, now time.Time) {
	if s == u.of ||
		u.of != nil && s.Len() >= manyItems && now.Sub(u.when) < time.Second && len(s.Namespaces()) == len(u.by) {
		return
	}
	u.by, u.of, u.when = map[string]usage{}, s, now
	for _, ns := range s.Namespaces() {
		u.by[ns.Netns] = measureUsage(s, &ns)
	}
}

// measureUsage goes through the connections of a namespace.
func measureUsage(s *track.State, ns *track.Snapshot) usage {
	u := usage{endpoints: map[mptcp.AddressID]int{}}
	for c := range s.Connections() {
		if c.Netns != ns.Netns {
			continue
		}
		u.connections++
		l := &c.Limits
		u.most = max(u.most, int(l.Subflows))
		u.accepted = max(u.accepted, int(l.AddAddrAccepted))
		if l.Full() {
			u.atLimit++
		}
		for i := range ns.Endpoints {
			if c.SubflowFrom(ns.Endpoints[i].Address) != nil {
				u.endpoints[ns.Endpoints[i].ID]++
			}
		}
	}
	return u
}

// endpointRow is an endpoint of the fifth screen, to be chosen with the cursor.
type endpointRow struct {
	netns    string
	endpoint mptcp.Endpoint
}

// endpointRows lists the endpoints of all namespaces.
func endpointRows(s *track.State) []endpointRow {
	var rows []endpointRow
	for _, ns := range s.Namespaces() {
		for _, e := range ns.Endpoints {
			rows = append(rows, endpointRow{ns.Netns, e})
		}
	}
	return rows
}

// endpoints is the fifth screen: endpoints and limits with how far they are used.
type endpoints struct {
	*look
	state  *track.State
	usage  map[string]usage // by namespace
	cursor int              // the endpoint under the cursor
	change bool             // the user may change them
}

// render returns all lines of the screen.
func (v *endpoints) render() []string {
	var lines []string
	row := 0
	for _, ns := range v.state.Namespaces() {
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		if ns.Netns != "" {
			lines = append(lines, v.paint(bold, "netns "+present.Escape(ns.Netns)))
		}
		u := v.usage[ns.Netns]
		lines = append(lines, v.limits(&ns, &u)...)
		lines = append(
			lines,
			"",
			v.paint(
				bold, "  "+v.left("ID", 4)+v.left("ADDRESS", 26)+v.left("DEVICE", 10)+v.left("FLAGS", 18)+"USED BY",
			),
		)
		if len(ns.Endpoints) == 0 {
			lines = append(lines, "  none: only a userspace path manager can create additional subflows from here")
		}
		for i := range ns.Endpoints {
			lines = append(lines, v.endpoint(&ns, &ns.Endpoints[i], &u, row == v.cursor))
			row++
		}
	}
	if !v.change {
		lines = append(lines, "", v.paint(dim, "To change them here, start top with --allow-changes."))
	}
	return lines
}

func (v *endpoints) limits(ns *track.Snapshot, u *usage) []string {
	l := ns.Limits
	return []string{
		v.paint(bold, "Limits"),
		fmt.Sprintf("  subflows          %-4d %d used at most; at the limit: %d of %s",
			l.Subflows, u.most, u.atLimit, count(u.connections, "connection", "connections")),
		fmt.Sprintf("  add_addr_accepted %-4d %d used at most", l.AddAddrAccepted, u.accepted),
	}
}

func (v *endpoints) endpoint(ns *track.Snapshot, e *mptcp.Endpoint, u *usage, chosen bool) string {
	mark := "  "
	if chosen && !v.lines {
		mark = v.sign("▸ ", "> ")
	}
	address := e.Address.String()
	if e.Port != 0 {
		address += " port " + itoa(int(e.Port))
	}
	line := mark + v.left(itoa(int(e.ID)), 4) + v.left(address, 25) + " " + v.left(deviceCell(ns, e), 9) + " " + v.left(
		e.Flags.String(), 17,
	) + " "
	used := fmt.Sprintf("%d of %s", u.endpoints[e.ID], count(u.connections, "connection", "connections"))
	if u.endpoints[e.ID] == 0 && u.connections > 0 && e.Flags.CreatesSubflows() {
		return line + v.paint(warn, used)
	}
	return line + used
}

// deviceCell returns the device that the endpoint is bound to, or in brackets the one that
// holds its address.
func deviceCell(ns *track.Snapshot, e *mptcp.Endpoint) string {
	name := present.Escape(ns.EndpointDevice(e))
	switch {
	case name == "":
		return "-"
	case e.IfIndex == 0:
		return "(" + name + ")"
	}
	return name
}
