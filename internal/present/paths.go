package present

import (
	"io"
	"net/netip"
	"strconv"
	"strings"

	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// Paths are the candidate paths of a host, with the endpoints that they have.
type Paths struct {
	// "" for the reader's own; foreign: escape it before showing
	Netns        string                `json:"netns,omitempty"`
	Destinations []hostnet.Destination `json:"destinations"`
	Paths        []Path                `json:"paths"`
	Limits       mptcp.Limits          `json:"limits"`
	// Commands make the paths that have no endpoint usable, in the order in which
	// to type them.
	Commands []string `json:"commands"`
	Notes    []string `json:"notes,omitempty"` // what stands in the way of all
}

// Path is a candidate path with its endpoint.
type Path struct {
	hostnet.Path
	Endpoint *PathEndpoint `json:"endpoint,omitempty"` // nil: it has none
	Command  string        `json:"command,omitempty"`  // that makes it usable
	Notes    []string      `json:"notes,omitempty"`
}

// PathEndpoint is the endpoint of a path's address.
type PathEndpoint struct {
	ID    mptcp.AddressID `json:"id"`
	Flags []string        `json:"flags"`
	Dev   string          `json:"dev,omitempty"`
}

// WritePaths writes the paths as text. Paths that cannot be used are shown only
// with all set.
func WritePaths(w io.Writer, p *Paths, colors Palette, all bool) error {
	var b []byte
	if p.Netns != "" {
		b = append(b, "network namespace "...)
		b = append(b, colors.Bold...)
		b = append(b, Escape(p.Netns)...)
		b = append(append(b, colors.Reset...), ":\n"...)
	}
	for i := range p.Destinations {
		b = appendDestination(b, &p.Destinations[i], colors)
		for j := range p.Paths {
			path := &p.Paths[j]
			if path.Family == p.Destinations[i].Family && (path.Usable || all || worthShowing(path)) {
				b = appendPath(b, path, colors)
			}
		}
	}
	if len(p.Destinations) == 0 {
		b = append(b, "no default route, and no destination given: try `paths to ADDR`\n"...)
	}
	b = appendField(b, "limits: subflows ", uint64(p.Limits.Subflows))
	b = appendField(b, " add_addr_accepted ", uint64(p.Limits.AddAddrAccepted))
	b = append(b, '\n')
	for _, note := range p.Notes {
		b = append(b, colors.Bad...)
		b = append(b, Escape(note)...)
		b = append(append(b, colors.Reset...), '\n')
	}
	if len(p.Commands) > 0 {
		b = append(b, "to use the other paths:\n"...)
		for _, command := range p.Commands {
			b = append(b, "  "...)
			b = append(b, colors.Bold...)
			b = append(b, Escape(command)...)
			b = append(b, colors.Reset...)
			b = append(b, '\n')
		}
	}
	_, err := w.Write(b)
	return err
}

// worthShowing reports whether an unusable address is one that a user may have
// meant to use: not loopback, not link-local.
func worthShowing(p *Path) bool {
	switch p.Problem {
	case hostnet.ProblemLoopback, hostnet.ProblemLinkScope, hostnet.ProblemFamily:
		return false
	}
	return true
}

func appendDestination(b []byte, d *hostnet.Destination, colors Palette) []byte {
	b = append(b, "to "...)
	if d.Assumed {
		b = append(b, "the default route ("...)
		b = append(b, d.Family.String()...)
		b = append(b, ')')
	} else {
		b = appendIP(b, d.Address, colors)
	}
	if d.Problem != "" {
		b = append(b, ": "...)
		b = append(b, colors.Bad...)
		b = append(b, Escape(d.Problem)...)
		b = append(b, colors.Reset...)
		return append(b, '\n')
	}
	b = append(b, ": the initial subflow goes from "...)
	b = appendIP(b, d.Source, colors)
	if d.Choice != nil {
		b = append(b, " dev "...)
		b = append(b, Escape(strings.Join(d.Choice, " or "))...)
		return append(b, ", as a hash of its ports chooses\n"...)
	}
	b = appendDevice(b, d.Device, colors)
	if d.Gateway.IsValid() {
		b = append(b, " via "...)
		b = appendIP(b, d.Gateway, colors)
	}
	return append(b, '\n')
}

func appendPath(b []byte, p *Path, colors Palette) []byte {
	b = append(b, "  "...)
	b = appendIP(b, p.Address, colors)
	b = appendDevice(b, p.Device, colors)
	b = append(b, " link "...)
	b = append(b, p.Link.State()...)
	if p.Usable {
		b = append(b, " metric "...)
		b = strconv.AppendInt(b, int64(p.Metric), 10)
	}
	if p.Gateway.IsValid() {
		b = append(b, " via "...)
		b = appendIP(b, p.Gateway, colors)
	}
	switch {
	case p.Initial:
		b = append(b, ", the initial subflow"...)
	case !p.Usable:
		b = append(b, ", not usable: "...)
		b = append(b, colors.Warn...)
		b = append(b, string(p.Problem)...)
		b = append(b, colors.Reset...)
	}
	switch {
	case p.Endpoint != nil:
		b = append(b, ", endpoint "...)
		b = append(b, colors.Good...)
		b = appendField(b, "id ", uint64(p.Endpoint.ID))
		for _, flag := range p.Endpoint.Flags {
			b = append(b, ' ')
			b = append(b, flag...)
		}
		b = append(b, colors.Reset...)
	case p.Usable && !p.Initial:
		b = append(b, ", no endpoint"...)
	}
	for _, note := range p.Notes {
		b = append(b, "\n    "...)
		b = append(b, colors.Dim...)
		b = append(b, Escape(note)...)
		b = append(b, colors.Reset...)
	}
	return append(b, '\n')
}

func appendIP(b []byte, a netip.Addr, colors Palette) []byte {
	color := colors.IPv4
	if a.Is6() {
		color = colors.IPv6
	}
	b = append(b, color...)
	b = a.AppendTo(b)
	return append(b, colors.Reset...)
}

func appendDevice(b []byte, name string, colors Palette) []byte {
	b = append(b, " dev "...)
	b = append(b, colors.Device...)
	b = append(b, Escape(name)...)
	return append(b, colors.Reset...)
}
