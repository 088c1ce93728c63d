package pathmanager

import (
	"encoding/binary"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/mptcp"
)

// batch is the events of one read, and what turns messages into events.
type batch struct {
	events []mptcp.Event
	at     time.Time // when they were read
	most   int       // messages that one read takes at most

	tap     func(t time.Time, nsid int32, msg []byte) // ListenConfig.Tap, or nil
	resolve func(nsid int32) string                   // ListenConfig.Resolve, or nil
	names   map[int32]string                          // those that netns gave, without resolve
	nsid    int32                                     // namespace of the last message,
	netns   string                                    // and its name

	undecoded atomic.Uint64 // messages of the kernel that could not be decoded
}

// begin empties the batch before a read.
func (b *batch) begin() {
	b.events = b.events[:0]
	b.nsid, b.netns = OwnNamespace, ""
}

// add decodes a message of the kernel, from the namespace with the number, into the
// batch. A message that is cut short, for want of room or by the filter of another
// socket, counts as a loss.
func (b *batch) add(msg []byte, nsid int32) {
	whole := len(msg) >= nlmsg.HeaderSize && int(binary.NativeEndian.Uint32(msg)) == len(msg)
	if b.tap != nil && whole {
		b.tap(b.at, nsid, msg)
	}
	if nsid != b.nsid {
		b.nsid, b.netns = nsid, b.nameOf(nsid)
	}
	b.events = slices.Grow(b.events, 1)[:len(b.events)+1] // DecodeEvent overwrites it
	e := &b.events[len(b.events)-1]
	if !whole || DecodeEvent(msg, e) != nil {
		b.undecoded.Add(1)
		*e = mptcp.Event{Type: mptcp.EventLost, Lost: 1}
	}
	e.Time, e.Netns = b.at, b.netns
}

// addLoss adds an EventLost, unless nothing was lost.
func (b *batch) addLoss(n uint64) {
	if n > 0 {
		b.events = append(b.events, mptcp.Event{Type: mptcp.EventLost, Lost: n, Time: b.at})
	}
}

// nameOf returns the name of the namespace with the number.
func (b *batch) nameOf(nsid int32) string {
	if nsid == OwnNamespace {
		return ""
	}
	if b.resolve != nil {
		return b.resolve(nsid)
	}
	name, ok := b.names[nsid]
	if !ok {
		if b.names == nil {
			b.names = make(map[int32]string)
		}
		name = "nsid " + strconv.Itoa(int(nsid))
		b.names[nsid] = name
	}
	return name
}
