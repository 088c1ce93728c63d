package force

import (
	"context"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// Fates asks the kernel what has become of sockets that are known by their
// cookies. The kernel finds a connection by its token cheaply, and by its cookie
// not at all: a dump is made only while a socket's token is unknown.
type Fates struct {
	diag   *sockdiag.Client
	tokens map[uint64]mptcp.Token // by cookie
	dumped time.Time
	cost   time.Duration // of the last dump
}

// NewFates asks through the client, which the caller closes.
func NewFates(diag *sockdiag.Client) *Fates {
	return &Fates{diag: diag, tokens: map[uint64]mptcp.Token{}}
}

// dumpShare bounds how much of the time goes into dumps on a host with very many
// connections: one part in so many.
const dumpShare = 10

// Look returns what the kernel knows of the sockets. What it does not know, or
// does not tell, is left out.
func (f *Fates) Look(cookies []uint64) map[uint64]Used {
	found := make(map[uint64]Used, len(cookies))
	wanted := make(map[uint64]bool, len(cookies))
	var tokens []mptcp.Token
	for _, c := range cookies {
		wanted[c] = true
		if t, ok := f.tokens[c]; ok {
			tokens = append(tokens, t)
		}
	}
	for c, err := range f.diag.ConnectionsByToken(context.Background(), tokens) {
		if err == nil && wanted[c.Cookie] {
			found[c.Cookie] = used(&c)
		}
	}
	if len(found) == len(wanted) || time.Since(f.dumped) < dumpShare*f.cost {
		return found
	}
	begin := time.Now()
	for c, err := range f.diag.Connections(context.Background(), &sockdiag.Request{States: sockdiag.AllStates}) {
		if err != nil {
			break // the next look may do better
		}
		if wanted[c.Cookie] {
			found[c.Cookie] = used(&c)
			if c.Info.Token != 0 {
				f.tokens[c.Cookie] = c.Info.Token
			}
		}
	}
	f.dumped = time.Now()
	f.cost = f.dumped.Sub(begin)
	return found
}

// used reduces a connection to what the report tells.
func used(c *sockdiag.Connection) Used {
	u := Used{State: c.State, Fallback: c.Info.Fallback(), Local: c.Local, Remote: c.Remote}
	switch {
	case c.State == mptcp.StateListen:
	case c.Info.SubflowsTotal > 0:
		u.Subflows = int(c.Info.SubflowsTotal)
	case c.State == mptcp.StateEstablished: // before Linux 6.8 the initial one is not counted
		u.Subflows = int(c.Info.Subflows) + 1
	}
	return u
}
