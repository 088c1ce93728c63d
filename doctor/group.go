package doctor

import "mptcpctl/mptcp"

// group collects findings of one rule: those about the same thing become one, with
// the number of connections that it concerns.
type group struct {
	places map[string]int
	list   []Finding
}

// add enters the connection under the key. The finding is made for the first one.
func (g *group) add(key string, c *mptcp.Connection, finding func() Finding) {
	if g.places == nil {
		g.places = map[string]int{}
	}
	i, ok := g.places[key]
	if !ok {
		i = len(g.list)
		g.places[key] = i
		g.list = append(g.list, finding())
	}
	f := &g.list[i]
	if f.tokens == nil {
		f.tokens = map[mptcp.Token]struct{}{}
	}
	f.tokens[c.Token] = struct{}{}
	f.count()
}

// onEndpoint is the subject of a finding about an endpoint.
func (v *view) onEndpoint(e mptcp.Endpoint) Subject {
	s := Subject{Endpoint: e.Address, EndpointID: e.ID, Netns: v.Netns}
	if l, ok := v.link(e); ok {
		s.Device = l.Name
	}
	return s
}
