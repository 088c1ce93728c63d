package track

import (
	"cmp"
	"time"
)

// Config adjusts a tracker. The zero value, and nil, mean the defaults.
type Config struct {
	// Reconcile is how often everything is dumped and compared, as a minimum:
	// when a dump takes long the pauses grow, so that dumping costs at most two
	// percent of a processor. Default 5 s; negative: only after losses. A [Recording]
	// is compared with each of its snapshots instead.
	Reconcile time.Duration
	// Sample is how often the counters of the namespaces are read, and those
	// subflows that may be in trouble, as a minimum like Reconcile. Default 1 s;
	// negative: never.
	Sample time.Duration
	// Keep is how many ended connections are kept at most. Default 1000;
	// negative: none.
	Keep int
	// KeepTime is how long an ended connection is kept. Default 5 min.
	KeepTime time.Duration
	// History is how many deltas are shown of one connection at most. Default
	// 64; negative: none.
	History int
	// HistoryTotal is how many deltas are kept of all connections together, some
	// 100 bytes each. Default 65536.
	HistoryTotal int
	// Buffer is how many deltas a reader of Deltas may be behind. Default 4096.
	Buffer int
	// Connections has every delta carry its connection as it was then, for readers that
	// judge events by more than they carry. It costs about a microsecond a delta, and
	// memory for each that a reader holds.
	Connections bool
	// MarksServer says that the kernel marks the side in CREATED of connections
	// that it accepted, as Linux does since 5.19: those without are the client's.
	// Otherwise that is known only after the first mark.
	MarksServer bool
	// Lag is how much later than it came an event may be read, where the source lets
	// events wait for each other on purpose (at most 2 ms by default).
	Lag time.Duration
	// Details is for how many connections at once the figures are held that belong
	// to the connection itself rather than to its subflows: bytes, limits, inode,
	// user, ages; 64 bytes each. With more connections than that, these figures are
	// zero for the rest. Default 100,000; negative: none.
	Details int
}

// withDefaults returns the configuration with every default put in.
func (c *Config) withDefaults() Config {
	var d Config
	if c != nil {
		d = *c
	}
	d.Reconcile = cmp.Or(d.Reconcile, 5*time.Second)
	d.Sample = cmp.Or(d.Sample, time.Second)
	d.Keep = max(cmp.Or(d.Keep, 1000), 0)
	d.KeepTime = cmp.Or(d.KeepTime, 5*time.Minute)
	d.History = max(cmp.Or(d.History, 64), 0)
	d.HistoryTotal = max(cmp.Or(d.HistoryTotal, 1<<16), 1)
	d.Details = max(cmp.Or(d.Details, 100_000), 0)
	d.Buffer = max(cmp.Or(d.Buffer, 4096), 1)
	return d
}
