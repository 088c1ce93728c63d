package story

import (
	"cmp"
	"net/netip"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Stretch is a time during which a subflow was in one state. It lasts to the
// beginning of the next one.
type Stretch struct {
	From  time.Time // zero: before anything is known
	State mptcp.SubflowState
	// Assumed says that nothing tells the state: only the subflow's end is known.
	Assumed bool
}

// Lane is the life of one subflow.
type Lane struct {
	Local     netip.AddrPort // unmapped, like Remote
	Remote    netip.AddrPort
	LocalID   mptcp.AddressID
	RemoteID  mptcp.AddressID
	Device    string
	Initial   bool
	Backup    bool
	Unknown   bool // its beginning is not known
	Stretches []Stretch
	Marks     []Mark
	End       time.Time // zero: it lives
	Reason    string    // why it ended, "" where that is not known
}

// WithConnection is the Reason of a lane that ended because its connection did.
const WithConnection = "with the connection"

// apply draws an event of the lane's subflow.
func (l *Lane) apply(d *track.Delta) {
	e := &d.Event
	if e.Has(mptcp.FieldLocalID) {
		l.LocalID = e.LocalID
	}
	if e.Has(mptcp.FieldRemoteID) {
		l.RemoteID = e.RemoteID
	}
	switch d.Kind {
	case track.KindEvent:
		l.applyKernel(e)
	case track.KindSubflowPending:
		l.begin(e.Time, mptcp.SubflowPending)
	case track.KindSubflowSilent:
		l.begin(e.Time, mptcp.SubflowSilent)
	case track.KindSubflowStale:
		l.begin(e.Time, mptcp.SubflowStale)
	case track.KindSubflowFailed:
		l.finish(e.Time, failReason(d))
	}
}

// applyKernel draws an event of the kernel.
func (l *Lane) applyKernel(e *mptcp.Event) {
	switch e.Type {
	case mptcp.EventCreated:
		l.Initial = true
		l.begin(e.Time, mptcp.SubflowEstablished)
	case mptcp.EventEstablished:
		l.Initial = true
		if len(l.Stretches) == 0 {
			l.Unknown = true
			l.begin(e.Time, mptcp.SubflowEstablished)
		}
	case mptcp.EventSubflowEstablished:
		l.begin(e.Time, mptcp.SubflowEstablished)
	case mptcp.EventSubflowClosed:
		l.finish(e.Time, EndReason(e))
	}
}

// begin starts a stretch. A subflow that had ended lives again: the same ports
// were taken once more.
func (l *Lane) begin(at time.Time, state mptcp.SubflowState) {
	l.Stretches = append(l.Stretches, Stretch{From: at, State: state})
	l.End, l.Reason = time.Time{}, ""
}

// finish ends the lane. The first reason that is known stands.
func (l *Lane) finish(at time.Time, reason string) {
	if l.End.IsZero() {
		l.End = at
	}
	l.Reason = cmp.Or(l.Reason, reason)
}

// describe takes what a dump says of the subflow.
func (l *Lane) describe(f *mptcp.Subflow) {
	l.LocalID, l.RemoteID, l.Initial = f.LocalID, f.RemoteID, l.Initial || f.Initial
	l.Device = f.Device
	l.Backup = f.BackupLocal || f.BackupRemote
}

// live ends the lane with the state that the subflow has now.
func (l *Lane) live(f *mptcp.Subflow, facts *Facts) {
	l.End, l.Reason = time.Time{}, ""
	n := len(l.Stretches)
	switch {
	case n > 0 && l.Stretches[n-1].State == f.State:
	case n > 0:
		l.begin(facts.Now, f.State)
	case f.Initial && !facts.Connection.Since.IsZero():
		l.begin(facts.Connection.Since, f.State)
	default:
		l.Unknown = true
		l.begin(time.Time{}, f.State)
	}
}
