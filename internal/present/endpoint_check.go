package present

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"mptcpctl/doctor"
	"mptcpctl/mptcp"
)

// EndpointCheck is what would happen if an endpoint were added.
type EndpointCheck struct {
	Endpoint mptcp.Endpoint   // with an id: the host has it already
	Device   string           // that it is bound to
	Peers    []netip.Addr     // that its subflows would go to
	Works    bool             //
	Facts    []string         // that the answer builds on
	Problems []doctor.Problem // in the way of it
	Command  string           // that adds it
}

// MarshalJSON returns the check as an object.
func (c *EndpointCheck) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID       mptcp.AddressID  `json:"id,omitempty"` // of an endpoint that is there already
		Address  netip.Addr       `json:"address"`
		Port     uint16           `json:"port,omitempty"`
		Device   string           `json:"dev,omitempty"`
		Flags    []string         `json:"flags"`
		Peers    []netip.Addr     `json:"peers"`
		Works    bool             `json:"works"`
		Facts    []string         `json:"facts"`
		Problems []doctor.Problem `json:"problems"`
		Command  string           `json:"command"` // "" for one that is there already
	}{
		c.Endpoint.ID, c.Endpoint.Address, c.Endpoint.Port,
		c.Device, append([]string{}, c.Endpoint.Flags.Names()...), append([]netip.Addr{}, c.Peers...),
		c.Works, append([]string{}, c.Facts...), append([]doctor.Problem{}, c.Problems...), c.Command,
	})
}

// EndpointCheck writes the check as text.
func (t *DoctorText) EndpointCheck(w io.Writer, c *EndpointCheck) error {
	b := appendIP(nil, c.Endpoint.Address, t.Colors)
	if c.Device != "" {
		b = appendDevice(b, c.Device, t.Colors)
	}
	for _, flag := range c.Endpoint.Flags.Names() {
		b = append(b, ' ')
		b = append(b, flag...)
	}
	b = append(b, ": "...)
	if c.Works {
		b = append(b, t.Colors.Good...)
	} else {
		b = append(b, t.Colors.Bad...)
	}
	b = append(b, c.verdict()...)
	b = append(b, t.Colors.Reset...)
	b = append(b, '\n')
	for i := range c.Problems {
		b = t.appendProblem(b, &c.Problems[i])
	}
	for i, fact := range c.Facts {
		b = t.appendField(b, once(i, "checked"), fact)
	}
	if c.Works && c.Command != "" {
		b = t.appendFix(b, "command", c.Command)
	}
	_, err := w.Write(b)
	return err
}

// verdict is the answer in words.
func (c *EndpointCheck) verdict() string {
	switch {
	case c.Endpoint.ID != 0 && c.Works:
		return fmt.Sprintf("is endpoint %d already, and works", c.Endpoint.ID)
	case c.Endpoint.ID != 0:
		return fmt.Sprintf("is endpoint %d already, and does not work for each connection", c.Endpoint.ID)
	case c.Works:
		return "would work"
	}
	return "would not work"
}

func (t *DoctorText) appendProblem(b []byte, p *doctor.Problem) []byte {
	b = append(b, "  "...)
	b = append(b, t.Colors.Bold...)
	b = t.appendWrapped(b, Escape(p.Text), 2, "    ")
	b = append(b, t.Colors.Reset...)
	if p.Rule != "" {
		b = append(b, " ("...)
		b = append(b, p.Rule...)
		b = append(b, ')')
	}
	b = append(b, '\n')
	for i, seen := range p.Seen {
		b = t.appendField(b, once(i, "seen"), seen)
	}
	for i, fix := range p.Fix {
		b = t.appendFix(b, once(i, "fix"), fix)
	}
	return b
}
