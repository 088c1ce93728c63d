package pathmanager

// eventCharge is the least that the kernel charges to the receive buffer for one event.
// Measured on Linux 6.18 (x86-64), it is 832 bytes for each kind. The charge turns the
// bytes in the queue into a number of messages, which may be too high but not too low, so
// that a loss is shown after the events that were queued before it.
const eventCharge = 768

// mark is a loss whose place in the stream has not come yet.
type mark struct {
	lost  uint64
	after int // how many queued messages come before it
}

// lossBook turns the kernel's counter of dropped messages into losses at their places in
// the stream. The kernel drops a message when the queue is full, so everything that is
// queued at that moment is older than the loss.
type lossBook struct {
	seen    uint32 // the kernel's counter as last read; it wraps around
	pending mark   // the oldest loss that was not shown yet
	newer   mark   // what was lost after it
}

// observe notes that so many messages were read from the queue since the last call, that
// the kernel counts so many drops by now, and that so many bytes are queued. It returns how
// many messages were lost at this place of the stream, 0 for none.
func (b *lossBook) observe(read int, drops, queued uint32) uint64 {
	b.pending.after -= read
	b.newer.after -= read
	if d := drops - b.seen; d != 0 {
		b.seen = drops
		m := &b.pending
		if m.lost > 0 {
			m = &b.newer
		}
		m.lost += uint64(d)
		m.after = int(queued)/eventCharge + 1
	}
	if queued == 0 {
		lost := b.pending.lost + b.newer.lost
		b.pending, b.newer = mark{}, mark{}
		return lost
	}
	if b.pending.lost == 0 || b.pending.after > 0 {
		return 0
	}
	lost := b.pending.lost
	b.pending, b.newer = b.newer, mark{}
	return lost
}

// waiting reports whether a loss has not found its place yet.
func (b *lossBook) waiting() bool { return b.pending.lost > 0 }
