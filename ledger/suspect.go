package ledger

import (
	"slices"

	"mptcpctl/mptcp"
)

// The counters of joins that could not begin (__mptcp_subflow_connect, since Linux 6.12).
const (
	BindErrors    = "MPJoinSynTxBindErr"
	ConnectErrors = "MPJoinSynTxConnectErr"
)

// Counter returns the counter of joins that cannot begin for this cause, "" for a cause that
// lets them begin.
func (c Cause) Counter() string {
	switch c {
	case AddressMissing, AddressTentative, NoPort:
		return BindErrors
	case DeviceMissing, DeviceDown, NoRoute:
		return ConnectErrors
	}
	return ""
}

// Suspect is an endpoint from which a join may have been the one that could not begin.
type Suspect struct {
	Endpoint mptcp.Endpoint // the zero value: a join to an announced address, by a route
	Causes   []Cause        // what it may have been, of what the counter counts
	// Obstacle is one of these causes that holds now: NoCause where none is known to.
	Obstacle Cause
	// LinkDown says that the endpoint is bound to no device, and that the link that has
	// its address is down: nothing leaves unless a route leads by another link.
	LinkDown bool
}

// Suspects returns the endpoints whose joins a counter may have counted, [BindErrors] or
// [ConnectErrors], in the order of the endpoints; last, where that may be it, a join to an
// announced address. Without connections among the facts each endpoint that joins can start
// from is one: of the connection that tried, nothing is known then.
func Suspects(f Facts, counter string) []Suspect {
	if len(f.Connections) == 0 {
		return anySuspects(f, counter)
	}
	var list []Suspect
	l := Of(f)
	a := newAccount(&f)
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Kind == Announce || e.Subflow != nil {
			continue
		}
		var causes []Cause
		for _, r := range e.Reached {
			if r.Cause.Counter() == counter {
				causes = append(causes, r.Cause)
			}
		}
		if len(causes) > 0 {
			list = a.suspect(list, e.Endpoint, causes, e.Obstacle, counter)
		}
	}
	slices.SortStableFunc(list, func(x, y Suspect) int {
		return a.place(x.Endpoint) - a.place(y.Endpoint)
	})
	return list
}

// anySuspects are the suspects where no connection is known.
func anySuspects(f Facts, counter string) []Suspect {
	var list []Suspect
	a := newAccount(&f)
	for _, e := range f.Endpoints {
		if !e.Flags.CreatesSubflows() && !e.Flags.JoinsAnnounced() {
			continue
		}
		var causes []Cause
		for _, r := range endings {
			bound := r.Cause != DeviceDown && r.Cause != DeviceMissing || e.IfIndex != 0
			tentative := r.Cause != AddressTentative || plain(e.Address).Is6()
			if r.Cause.Counter() == counter && bound && tentative {
				causes = append(causes, r.Cause)
			}
		}
		list = a.suspect(list, e, causes, a.obstacle(e, e.Address), counter)
	}
	return list
}

// suspect adds the endpoint to the list, once.
func (a *account) suspect(list []Suspect, e mptcp.Endpoint, causes []Cause, obstacle Cause, counter string) []Suspect {
	if obstacle.Counter() != counter {
		obstacle = NoCause
	}
	i := slices.IndexFunc(list, func(s Suspect) bool { return s.Endpoint == e })
	if i < 0 {
		s := Suspect{Endpoint: e}
		s.LinkDown = counter == ConnectErrors && e.IfIndex == 0 && a.ground.DeviceTrouble(e) == DeviceDown
		list, i = append(list, s), len(list)
	}
	s := &list[i]
	for _, c := range causes {
		if !slices.Contains(s.Causes, c) {
			s.Causes = append(s.Causes, c)
		}
	}
	if s.Obstacle == NoCause {
		s.Obstacle = obstacle
	}
	return list
}

// place is where the endpoint stands among the others; what is none comes last.
func (a *account) place(e mptcp.Endpoint) int {
	if i := slices.Index(a.Endpoints, e); i >= 0 {
		return i
	}
	return len(a.Endpoints)
}
