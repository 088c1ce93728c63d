package pathmanager

import (
	"slices"
	"unsafe"

	"mptcpctl/internal/bpf"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// ringNoWakeup is a flag of RingbufSubmit and RingbufDiscard (BPF_RB_NO_WAKEUP).
const ringNoWakeup = 1

// Fields of the program's state, which it shares with the listener.
const (
	stateDrops   = 0   // u64: events that found the ring full
	stateRefused = 8   // u64: messages that are not the kernel's, or not to the group
	stateSender  = 16  // u32 port id and u32 group of the last of them
	stateWaiting = 128 // u64: 1 while the listener wants to be woken, on a cache line of its own
	stateSize    = 256
)

// recordPrefix is the size of what comes before the message in a record: the low 32 bits
// of the number of drops so far.
const recordPrefix = 4

// recordSizes are the sizes of records. The program reserves the least that fits, out of
// fixed sizes, because the kernel's verifier wants a constant. They fit events of
// listeners, events with IPv4 and events with IPv6 addresses; the last is more than twice
// the longest event that a kernel sends.
var recordSizes = [...]int32{48, 96, 128, 256}

// senderOffset is the place in struct sk_buff of the port id and the group of a netlink
// message's sender. Member cb begins after two pointers and the device (or a node of a
// tree), the socket, and a time stamp. In cb, struct netlink_skb_parms has the two after
// three words of credentials. Both hold since Linux 4.13, and ring.prove checks the
// running kernel before the engine is used.
const senderOffset = (int32(4*unsafe.Sizeof(uintptr(0)))+8+7)&^7 + 12

// ringRule says what the program lets into the ring.
type ringRule struct {
	family uint16
	group  uint32
	types  uint64 // a bit for each type that is wanted
	most   int32  // bytes of a message; a longer one is cut short
}

// typeMask returns the rule's types, all bits for no types.
func typeMask(types []mptcp.EventType) uint64 {
	if len(types) == 0 || filterProgram(0, types) == nil && slices.Contains(types, mptcp.EventCreated) {
		return ^uint64(0)
	}
	mask := uint64(0)
	for _, t := range types {
		if t < 64 {
			mask |= 1 << t
		}
	}
	return mask
}

// assembler writes the ring's program.
type assembler struct{ bpf.Program }

// ringProgram returns the socket filter that moves the kernel's events into the
// ring. While the listener waits, one message goes to the socket instead, which wakes the
// listener as any message does. The ring's own wake-up is an interrupt, measured at 2 to
// 4 us for the producer of the event. The message passes whole, because what a filter cuts
// off is also missing for the listeners of the group that the kernel serves later.
//
// Its registers: 6 the message's sk_buff, 7 its length, 8 the state, 9 the record.
// On its stack: the sender at -32, the two headers at -24.
func ringProgram(ring, state int, rule ringRule) []byte {
	const sender, header, headers = -32, -24, nlmsg.HeaderSize + genlHeaderSize
	a := &assembler{}
	a.Op(bpf.Copy, 6, 1, 0, 0)
	a.Wide(8, unix.BPF_PSEUDO_MAP_VALUE, int32(state), 0)
	a.Op(bpf.Zero8, 10, 0, sender, 0)
	a.ringTrust(rule, sender, header, headers)
	if rule.types != ^uint64(0) {
		a.Op(bpf.Read1, 1, 10, header+nlmsg.HeaderSize, 0) // genlmsghdr.cmd
		a.Jump(bpf.IfMore, 1, 63, "drop")
		a.Wide(2, 0, int32(uint32(rule.types)), int32(uint32(rule.types>>32)))
		a.Op(bpf.ShiftRight, 2, 1, 0, 0)
		a.Op(bpf.And, 2, 0, 0, 1)
		a.Jump(bpf.IfEqual, 2, 0, "drop")
	}
	a.ringWakeUp()
	a.Op(bpf.Read4, 7, 6, 0, 0) // __sk_buff.len
	a.Jump(bpf.IfLess, 7, headers, "lost")
	a.Jump(bpf.IfMore, 7, rule.most, "long")
	for _, size := range recordSizes {
		a.Op(bpf.Set, 2, 0, 0, size)
		a.Jump(bpf.IfAtMost, 7, size-recordPrefix, "reserve")
	}
	a.Label("long") // the decoder finds it cut short, and counts it as lost
	a.Op(bpf.Set, 2, 0, 0, recordSizes[0])
	a.Op(bpf.Set, 7, 0, 0, headers)
	a.ringRecord(ring)

	a.Label("lost")
	a.Op(bpf.Set, 1, 0, 0, 1)
	a.Op(bpf.Atomic8, 8, 1, stateDrops, unix.BPF_ADD)
	a.Label("drop")
	a.Op(bpf.Set, 0, 0, 0, 0)
	a.Op(bpf.Exit, 0, 0, 0, 0)
	a.Label("pass")
	a.Op(bpf.Set, 0, 0, 0, -1)
	a.Op(bpf.Exit, 0, 0, 0, 0)
	a.Label("foreign")
	a.Op(bpf.Read8, 1, 10, sender, 0)
	a.Op(bpf.Write8, 8, 1, stateSender, 0)
	a.Op(bpf.Set, 1, 0, 0, 1)
	a.Op(bpf.Atomic8, 8, 1, stateRefused, unix.BPF_ADD)
	a.Jump(bpf.Always, 0, 0, "drop")
	return a.Bytes()
}

// ringTrust goes on only with messages of the family, from the kernel, to the
// group. The context of a socket filter hides the sender (cb reads as zeros there), so
// the sender is read from the sk_buff itself.
func (a *assembler) ringTrust(rule ringRule, sender, header int16, headers int32) {
	a.Op(bpf.Copy, 1, 10, 0, 0)
	a.Op(bpf.Add, 1, 0, 0, int32(sender))
	a.Op(bpf.Set, 2, 0, 0, 8)
	a.Op(bpf.Copy, 3, 6, 0, 0)
	a.Op(bpf.Add, 3, 0, 0, senderOffset)
	a.Op(bpf.Call, 0, 0, 0, bpf.ProbeReadKernel)
	a.Jump(bpf.IfNot, 0, 0, "foreign")
	a.Op(bpf.Read4, 1, 10, sender, 0)
	a.Jump(bpf.IfNot, 1, 0, "foreign")
	a.Op(bpf.Read4, 1, 10, sender+4, 0)
	a.Jump(bpf.IfNot, 1, int32(rule.group), "foreign")
	a.Op(bpf.Copy, 1, 6, 0, 0)
	a.Op(bpf.Set, 2, 0, 0, 0)
	a.Op(bpf.Copy, 3, 10, 0, 0)
	a.Op(bpf.Add, 3, 0, 0, int32(header))
	a.Op(bpf.Set, 4, 0, 0, headers)
	a.Op(bpf.Call, 0, 0, 0, bpf.SkbLoadBytes)
	a.Jump(bpf.IfNot, 0, 0, "pass")     // another socket's filter cut it off
	a.Op(bpf.Read2, 1, 10, header+4, 0) // nlmsg_type
	a.Jump(bpf.IfNot, 1, int32(rule.family), "foreign")
}

// ringWakeUp lets the message pass to the socket if the listener waits.
func (a *assembler) ringWakeUp() {
	a.Op(bpf.Read8, 1, 8, stateWaiting, 0)
	a.Jump(bpf.IfEqual, 1, 0, "awake")
	a.Op(bpf.Set, 7, 0, 0, 0)
	a.Op(bpf.Atomic8, 8, 7, stateWaiting, unix.BPF_XCHG)
	a.Jump(bpf.IfNot, 7, 0, "pass")
	a.Label("awake")
}

// ringRecord writes the record, of the size in register 2, unless the listener has begun
// to wait. The exchange is a barrier: either the program sees that the listener waits, or
// the listener sees that a record is reserved.
func (a *assembler) ringRecord(ring int) {
	a.Label("reserve")
	a.Wide(1, unix.BPF_PSEUDO_MAP_FD, int32(ring), 0)
	a.Op(bpf.Set, 3, 0, 0, 0)
	a.Op(bpf.Call, 0, 0, 0, bpf.RingbufReserve)
	a.Jump(bpf.IfEqual, 0, 0, "lost")
	a.Op(bpf.Copy, 9, 0, 0, 0)
	a.Op(bpf.Read8, 1, 8, stateDrops, 0)
	a.Op(bpf.Write4, 9, 1, 0, 0)
	a.Op(bpf.Copy, 1, 6, 0, 0)
	a.Op(bpf.Set, 2, 0, 0, 0)
	a.Op(bpf.Copy, 3, 9, 0, 0)
	a.Op(bpf.Add, 3, 0, 0, recordPrefix)
	a.Op(bpf.Copy, 4, 7, 0, 0)
	a.Op(bpf.Call, 0, 0, 0, bpf.SkbLoadBytes)
	a.Op(bpf.Set, 7, 0, 0, 0)
	a.Op(bpf.Atomic8, 8, 7, stateWaiting, unix.BPF_XCHG)
	a.Op(bpf.Copy, 1, 9, 0, 0)
	a.Op(bpf.Set, 2, 0, 0, ringNoWakeup)
	a.Jump(bpf.IfNot, 7, 0, "discard")
	a.Op(bpf.Call, 0, 0, 0, bpf.RingbufSubmit)
	a.Jump(bpf.Always, 0, 0, "drop")
	a.Label("discard")
	a.Op(bpf.Call, 0, 0, 0, bpf.RingbufDiscard)
	a.Jump(bpf.Always, 0, 0, "pass")
}
