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
// A [Recording] is played by its own clock and as fast as it can be read: derived
// events have the times of the recording, and come in the same order as live. The state
// is compared with each recorded snapshot when that was taken.
//
// # How it works
//
// One goroutine, that of [Tracker.Run], changes the state. Each of its concerns is a type
// of its own: clock gives the time, of the wall or of a recording; table holds the live
// connections; archive keeps what has ended; checks holds the questions about single
// connections, reconciler and sampler know when everything, and when figures, are read
// again; deriver finds causes in the counters; delivery reports deltas to the readers and
// keeps them as history. The verbs of the code mean:
//
//	apply      change the state by an event (apply.go, from applyOne on)
//	ask        note a question to the kernel about the connection of an event (question.go)
//	verify     ask the questions that are due, by lookups, and act on the answers (check.go)
//	reconcile  compare everything with the kernel's dumps (reconcile.go)
//	merge      bring one connection up to what the kernel said of it (merge.go)
//	sample     read the figures of a few connections, and the counters (derive.go)
//	derive     conclude from facts what the kernel does not announce (derive.go, failure.go)
//	report     give a delta to the readers, and keep it in its connection's history
//	end        take a connection out of the live ones, and keep it among the ended ones
//	settle     give what ended its last figures, which may come before or after its end
//	touch      have the next State be a new one
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
