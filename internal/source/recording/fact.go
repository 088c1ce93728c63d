package recording

import (
	"encoding/json"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// Version is the version of the facts in a recording.
const Version = 1

// What a fact of a recording tells.
const (
	FactRecording = "recording" // the first one: what the file is
	FactSnapshot  = "snapshot"  // all up to FactEnd was read at about its time
	FactSockets   = "sockets"   // the sock_diag messages up to the next fact are of Protocol
	FactSysctls   = "sysctls"   // net.mptcp
	FactFile      = "file"      // a text of /proc
	FactNetwork   = "network"   // links, addresses, routes, rules
	FactLookups   = "lookups"   // answers to route lookups
	FactProcesses = "processes" // that hold MPTCP sockets, by inode
	FactHost      = "host"      // what doctor asks of the host besides; left out while it stays
	FactEnd       = "end"       // of a snapshot
	FactLost      = "lost"      // the kernel dropped Lost events here
	FactGone      = "gone"      // the namespace went, or can be entered no more
	factPart      = "part"      // a part of a fact that is too large for one packet
	FactStop      = "stop"      // the recording was ended in order
)

// Fact is what no netlink message tells: a packet with JSON.
type Fact struct {
	Fact string `json:"fact"`

	Version int    `json:"version,omitempty"` // of FactRecording
	Kernel  string `json:"kernel,omitempty"`  // release
	Program string `json:"program,omitempty"` // that recorded
	Events  bool   `json:"events,omitempty"`  // they were subscribed to
	// of FactSnapshot: those of one round were taken one after the other
	Round int `json:"round,omitempty"`
	// of FactRecording: the interfaces have the names of their network namespaces
	All       bool                       `json:"all,omitempty"`
	Protocol  uint32                     `json:"protocol,omitempty"`  // of factSockets: 6 or 262
	Sysctls   map[string]string          `json:"sysctls,omitempty"`   // by name
	Path      string                     `json:"path,omitempty"`      // of FactFile, below /proc
	Text      string                     `json:"text,omitempty"`      // of FactFile
	Network   *hostnet.Network           `json:"network,omitempty"`   //
	Lookups   []Lookup                   `json:"lookups,omitempty"`   //
	Processes map[uint32][]mptcp.Process `json:"processes,omitempty"` //
	Host      *doctor.Facts              `json:"host,omitempty"`      // without what the other facts tell
	Lost      uint64                     `json:"lost,omitempty"`      // events
	Shared    bool                       `json:"shared,omitempty"`    // of FactLost: of whichever namespace
	Part      []byte                     `json:"part,omitempty"`      // of factPart: of the fact's JSON
	More      bool                       `json:"more,omitempty"`      // of factPart: another part follows
	// of FactStop: messages that were not the kernel's
	Refused uint64 `json:"refused,omitempty"`
}

// Lookup is a question for a route with the kernel's answer.
type Lookup struct {
	Question hostnet.LookupRequest `json:"question"`
	Route    hostnet.Route         `json:"route"`
	Errno    int                   `json:"errno,omitempty"` // in place of a route
}

// appendFact appends the fact as JSON.
func appendFact(b []byte, f *Fact) ([]byte, error) {
	text, err := json.Marshal(f)
	return append(b, text...), err
}

// parseFact reads a fact. What is no fact gives one of a kind that nobody knows.
func parseFact(text []byte) Fact {
	var f Fact
	if json.Unmarshal(text, &f) != nil {
		return Fact{}
	}
	return f
}
