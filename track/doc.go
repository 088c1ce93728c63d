// Package track holds the live state of the MPTCP connections of a host: it takes
// the kernel's dumps and events in, and gives immutable states and ordered deltas
// out. It knows no socket: where the facts come from is a [Source], the live
// kernel or a recording.
//
// The kernel's event stream alone is no state machine. A connection may end
// without CLOSED, be CLOSED without CREATED, go on after CLOSED, and fall back to
// plain TCP without any event. So the tracker subscribes first, then dumps, then
// applies the events, and verifies by lookup whatever an event only suggests: a
// connection is over when the kernel no longer knows its token, and not before.
//
// # Identity
//
// A connection is known by its [mptcp.Key]: network namespace, token, and instance.
// The kernel uses a token again after its connection is gone; the instance tells
// the connections with one token apart, in the order in which they were seen.
//
// # Two ways to read
//
// [Tracker.State] and [Tracker.Changed] are the latest kind, for views: a State is
// immutable and may be read for as long as one likes, and many changes give one
// signal. A slow reader sees fewer states, costs nothing, and misses nothing but
// the steps in between. States share all pages of memory that did not change
// between them; a state costs only what changed since the one before, and only
// when somebody asks for it.
//
// [Tracker.Deltas] is the stream kind, for logs: every kernel event and every
// derived event in the order in which they were applied. Each reader has a buffer
// of its own ([Config.Buffer]). The tracker never waits for a reader: when the
// buffer is full the deltas are counted, and a delta of [KindOverflow] with the
// number stands at the place where they are missing. The reader then takes a new
// State.
//
// Towards the source the tracker does wait: while it is dumping, at most a few
// batches are read ahead, and the rest stays in the socket's receive buffer. What
// does not fit there is counted by the source as [mptcp.EventLost], at its place
// in the stream. The tracker answers with a new dump; afterwards the state is the
// kernel's again, [State.Generation] has grown by one, and a delta of [KindResync]
// says what changed.
//
// # Recordings
//
// A [Recording] is played by its own clock and as fast as it can be read: its
// derived events come at the recorded times, in the same order as live.
//
// # Bounds
//
// Live connections are held in records without pointers, some 60 bytes for a
// connection and some 190 with two subflows and their figures; figures of the
// connection itself are held for the first [Config.Details]. What ended is kept
// for [Config.KeepTime] and at most [Config.Keep] connections. History is one ring
// of [Config.HistoryTotal] deltas for all connections, of which one connection
// shows at most the last [Config.History].
package track
