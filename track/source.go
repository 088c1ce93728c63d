package track

import (
	"context"
	"iter"
	"time"

	"mptcpctl/mptcp"
)

// Source is where a tracker has its facts from: the kernel, a recording of it, or
// a model in a test. It may speak for one network namespace or for many; each
// object names its own. A namespace that has gone is left out of answers, and is
// no error.
//
// The methods are called from one goroutine at a time, except Batches, whose
// stream is read in a goroutine of its own while the others are called.
type Source interface {
	// Batches returns the stream of events in the order in which the kernel sent
	// them. The source is subscribed from the moment it exists: an event that
	// the kernel sends after that is delivered, or counted by an
	// [mptcp.EventLost] at its place. A batch is valid until the next one. The
	// stream ends with ctx, after what had come by then and without an error, and
	// otherwise with the error that ended it, or without one where a recording
	// ends.
	Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error]

	// Snapshots dumps everything, one Snapshot for each network namespace. A
	// namespace that is not in the answer is gone, with all its connections. Where the
	// error is an [*Unread] the answer has all namespaces but those that it names, of
	// which the tracker keeps what it knows.
	Snapshots(ctx context.Context) ([]Snapshot, error)

	// Lookup asks the kernel for these connections of a namespace one by one,
	// and returns those that it still knows, without subflows. It is exact where
	// a dump is not: what it leaves out is gone.
	Lookup(ctx context.Context, netns string, tokens []mptcp.Token) ([]mptcp.Connection, error)

	// Sample returns the subflows of these connections as they are now. It may
	// read a dump to find them, and returns rows of no other connection.
	Sample(ctx context.Context, netns string, tokens []mptcp.Token) ([]SubflowRow, error)

	// Namespace returns what a snapshot of the namespace says beside its sockets, as it
	// is now; nil where the namespace has gone.
	Namespace(ctx context.Context, netns string) (*Snapshot, error)

	// Counters returns the MPTCP counters of the namespace; nil where the kernel
	// has none yet.
	Counters(ctx context.Context, netns string) (Counters, error)
}

// Recording is a [Source] that plays what was recorded. The tracker then goes by
// the times of the recording, as fast as it can be read: what falls due between two
// batches is done before the second is applied. It compares its state with each
// snapshot when that was taken; [Config.Reconcile] has no effect.
type Recording interface {
	Source
	// Seek says that what is asked from now on is asked at that time: of events and
	// snapshots that were recorded later, no answer may know. It is called before the
	// questions, never with an earlier time than before, and first with that of the
	// first snapshot. Batches may have been read ahead. Events of one batch are
	// applied at the time of its last.
	Seek(to time.Time)

	// NextSnapshot returns when the recording has its next snapshots, later than the
	// time that was sought last; zero where it has no more.
	NextSnapshot() time.Time
}

// EndedSource is a [Source] that also hears of TCP sockets that end
// (SKNLGRP_INET_TCP_DESTROY). The kernel gives their final figures there once,
// without the token: they are matched by addresses and ports.
type EndedSource interface {
	Source
	// Ended returns the stream of subflows that ended, with their namespaces.
	// It ends as that of Batches does. Rows with a zero remote port, which the
	// kernel wiped before, are left out.
	Ended(ctx context.Context) iter.Seq2[EndedSubflow, error]
}

// EndedSubflow is a TCP socket that ended, with its last figures.
type EndedSubflow struct {
	Netns   string
	Subflow mptcp.Subflow
}
