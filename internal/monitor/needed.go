package monitor

import (
	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
)

// NeededEvents returns the events that the kernel must send for the filter: those
// that can match, and those that tell which connection a token is. Listener
// events tell nothing of connections: where nobody asked for them, a storm of
// them costs nothing.
func NeededEvents(expr *filter.Expr) []mptcp.EventType {
	var types []mptcp.EventType
	matching := map[mptcp.EventType]bool{}
	for _, t := range expr.EventTypes() {
		matching[t] = true
	}
	for _, t := range mptcp.EventTypes() {
		listener := t == mptcp.EventListenerCreated || t == mptcp.EventListenerClosed
		if matching[t] || !listener {
			types = append(types, t)
		}
	}
	return types
}
