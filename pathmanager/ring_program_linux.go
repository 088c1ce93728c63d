package pathmanager

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Numbers of linux/bpf.h that golang.org/x/sys lacks.
const (
	bpfRead4  = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_W
	bpfRead2  = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_H
	bpfRead1  = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_B
	bpfRead8  = unix.BPF_LDX | unix.BPF_MEM | unix.BPF_DW
	bpfWrite4 = unix.BPF_STX | unix.BPF_MEM | unix.BPF_W
	bpfWrite8 = unix.BPF_STX | unix.BPF_MEM | unix.BPF_DW
	bpfZero8  = unix.BPF_ST | unix.BPF_MEM | unix.BPF_DW
	bpfAtomic = unix.BPF_STX | unix.BPF_ATOMIC | unix.BPF_DW
	bpfSet    = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_K
	bpfCopy   = unix.BPF_ALU64 | unix.BPF_MOV | unix.BPF_X
	bpfAdd    = unix.BPF_ALU64 | unix.BPF_ADD | unix.BPF_K
	bpfAnd    = unix.BPF_ALU64 | unix.BPF_AND | unix.BPF_K
	bpfShift  = unix.BPF_ALU64 | unix.BPF_RSH | unix.BPF_X
	bpfWide   = unix.BPF_LD | unix.BPF_IMM | unix.BPF_DW
	bpfCall   = unix.BPF_JMP | unix.BPF_CALL
	bpfExit   = unix.BPF_JMP | unix.BPF_EXIT
	bpfJump   = unix.BPF_JMP | unix.BPF_JA
	bpfIfEq   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	bpfIfNot  = unix.BPF_JMP | unix.BPF_JNE | unix.BPF_K
	bpfIfMore = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	bpfIfLess = unix.BPF_JMP | unix.BPF_JLT | unix.BPF_K
	bpfIfLE   = unix.BPF_JMP | unix.BPF_JLE | unix.BPF_K

	helperSkbLoadBytes    = 26
	helperProbeReadKernel = 113
	helperRingbufReserve  = 131
	helperRingbufSubmit   = 132

	ringNoWakeup = 1 // a flag of the last
)

// Fields of the program's state, which it shares with the listener.
const (
	stateDrops   = 0   // u64: events that found the ring full
	stateRefused = 8   // u64: messages that are not the kernel's, or not to the group
	stateSender  = 16  // u32 port id and u32 group of the last of them
	stateWaiting = 128 // u64: 1 while the listener wants to be woken, on a cache line of its own
	stateSize    = 256
)

// recordPrefix comes before the message in a record: the number of drops up to
// then, 32 bits of it.
const recordPrefix = 4

// recordSizes are what the program reserves for a record, the least that fits: the
// kernel wants to know the size when it verifies the program. They fit listener
// events, events with IPv4 and with IPv6 addresses; the last is more than twice
// the longest event that a kernel sends.
var recordSizes = [...]int32{48, 96, 128, 256}

// senderOffset is where port id and group of a netlink message's sender are in
// struct sk_buff: cb begins after two pointers and the device (or a node of a
// tree), the socket, and a time stamp; in it struct netlink_skb_parms has them
// after three words of credentials. Both have been so since Linux 4.13, and the
// engine proves it on the running kernel before it believes it: see ring.prove.
const senderOffset = (int32(4*unsafe.Sizeof(uintptr(0)))+8+7)&^7 + 12

// ringRule is what the program lets into the ring.
type ringRule struct {
	family uint16
	group  uint32
	types  uint64 // a bit for each type that is wanted
	most   int32  // bytes of a message; longer ones are cut short
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

// instruction is struct bpf_insn; to is the label that it jumps to.
type instruction struct {
	code, dst, src uint8
	off            int16
	imm            int32
	to             string
}

// assembler collects instructions.
type assembler struct {
	list   []instruction
	labels map[string]int
}

func (a *assembler) op(code, dst, src uint8, off int16, imm int32) {
	a.list = append(a.list, instruction{code: code, dst: dst, src: src, off: off, imm: imm})
}

func (a *assembler) jump(code, dst uint8, imm int32, to string) {
	a.list = append(a.list, instruction{code: code, dst: dst, imm: imm, to: to})
}

// wide loads 64 bits: two instructions.
func (a *assembler) wide(dst, pseudo uint8, low, high int32) {
	a.op(bpfWide, dst, pseudo, 0, low)
	a.op(0, 0, 0, 0, high)
}

func (a *assembler) label(name string) { a.labels[name] = len(a.list) }

// bytes returns the program as the kernel takes it.
func (a *assembler) bytes() []byte {
	var b []byte
	for i, in := range a.list {
		if in.to != "" {
			in.off = int16(a.labels[in.to] - i - 1)
		}
		registers := in.dst | in.src<<4
		if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 { // the bit fields turn around
			registers = in.dst<<4 | in.src
		}
		b = append(b, in.code, registers)
		b = binary.NativeEndian.AppendUint16(b, uint16(in.off))
		b = binary.NativeEndian.AppendUint32(b, uint32(in.imm))
	}
	return b
}

// ringProgram returns the socket filter that moves the kernel's events into the
// ring. It lets no message through to the socket, but one byte of one when the
// listener waits: that wakes it as any message does, while the ring's own wake-up
// is an interrupt, measured at 2 to 4 us for the producer of the event.
//
// Its registers: 6 the message's sk_buff, 7 its length, 8 the state, 9 the record.
// On its stack: the sender at -32, the two headers at -24.
func ringProgram(ring, state int, rule ringRule) []byte {
	const sender, header, headers = -32, -24, nlmsgHeaderSize + genlHeaderSize
	a := &assembler{labels: map[string]int{}}
	a.op(bpfCopy, 6, 1, 0, 0)
	a.wide(8, unix.BPF_PSEUDO_MAP_VALUE, int32(state), 0)
	a.op(bpfZero8, 10, 0, sender, 0)
	a.ringTrust(rule, sender, header, headers)
	if rule.types != ^uint64(0) {
		a.op(bpfRead1, 1, 10, header+nlmsgHeaderSize, 0) // genlmsghdr.cmd
		a.jump(bpfIfMore, 1, 63, "drop")
		a.wide(2, 0, int32(uint32(rule.types)), int32(uint32(rule.types>>32)))
		a.op(bpfShift, 2, 1, 0, 0)
		a.op(bpfAnd, 2, 0, 0, 1)
		a.jump(bpfIfEq, 2, 0, "drop")
	}
	a.op(bpfRead4, 7, 6, 0, 0) // __sk_buff.len
	a.jump(bpfIfLess, 7, headers, "foreign")
	a.jump(bpfIfMore, 7, rule.most, "long")
	for _, size := range recordSizes {
		a.op(bpfSet, 2, 0, 0, size)
		a.jump(bpfIfLE, 7, size-recordPrefix, "reserve")
	}
	a.label("long") // the decoder tells that it is cut short, and counts it as lost
	a.op(bpfSet, 2, 0, 0, recordSizes[0])
	a.op(bpfSet, 7, 0, 0, headers)
	a.ringRecord(ring)

	a.label("lost")
	a.op(bpfSet, 1, 0, 0, 1)
	a.op(bpfAtomic, 8, 1, stateDrops, unix.BPF_ADD)
	a.label("drop")
	a.op(bpfSet, 0, 0, 0, 0)
	a.op(bpfExit, 0, 0, 0, 0)
	a.label("foreign")
	a.op(bpfRead8, 1, 10, sender, 0)
	a.op(bpfWrite8, 8, 1, stateSender, 0)
	a.op(bpfSet, 1, 0, 0, 1)
	a.op(bpfAtomic, 8, 1, stateRefused, unix.BPF_ADD)
	a.jump(bpfJump, 0, 0, "drop")
	return a.bytes()
}

// ringTrust goes on only with messages of the family, from the kernel, to the
// group. The context of a socket filter hides the sender (it shows cb as zeros),
// so it is read from the sk_buff itself.
func (a *assembler) ringTrust(rule ringRule, sender, header int16, headers int32) {
	a.op(bpfCopy, 1, 10, 0, 0)
	a.op(bpfAdd, 1, 0, 0, int32(sender))
	a.op(bpfSet, 2, 0, 0, 8)
	a.op(bpfCopy, 3, 6, 0, 0)
	a.op(bpfAdd, 3, 0, 0, senderOffset)
	a.op(bpfCall, 0, 0, 0, helperProbeReadKernel)
	a.jump(bpfIfNot, 0, 0, "foreign")
	a.op(bpfRead4, 1, 10, sender, 0)
	a.jump(bpfIfNot, 1, 0, "foreign")
	a.op(bpfRead4, 1, 10, sender+4, 0)
	a.jump(bpfIfNot, 1, int32(rule.group), "foreign")
	a.op(bpfCopy, 1, 6, 0, 0)
	a.op(bpfSet, 2, 0, 0, 0)
	a.op(bpfCopy, 3, 10, 0, 0)
	a.op(bpfAdd, 3, 0, 0, int32(header))
	a.op(bpfSet, 4, 0, 0, headers)
	a.op(bpfCall, 0, 0, 0, helperSkbLoadBytes)
	a.jump(bpfIfNot, 0, 0, "foreign")
	a.op(bpfRead2, 1, 10, header+4, 0) // nlmsg_type
	a.jump(bpfIfNot, 1, int32(rule.family), "foreign")
}

// ringRecord writes the record, of the size in register 2, and lets one byte through
// if the listener waits. The exchange is a barrier: either the program sees that the
// listener waits, or the listener sees that a record is reserved.
func (a *assembler) ringRecord(ring int) {
	a.label("reserve")
	a.wide(1, unix.BPF_PSEUDO_MAP_FD, int32(ring), 0)
	a.op(bpfSet, 3, 0, 0, 0)
	a.op(bpfCall, 0, 0, 0, helperRingbufReserve)
	a.jump(bpfIfEq, 0, 0, "lost")
	a.op(bpfCopy, 9, 0, 0, 0)
	a.op(bpfRead8, 1, 8, stateDrops, 0)
	a.op(bpfWrite4, 9, 1, 0, 0)
	a.op(bpfCopy, 1, 6, 0, 0)
	a.op(bpfSet, 2, 0, 0, 0)
	a.op(bpfCopy, 3, 9, 0, 0)
	a.op(bpfAdd, 3, 0, 0, recordPrefix)
	a.op(bpfCopy, 4, 7, 0, 0)
	a.op(bpfCall, 0, 0, 0, helperSkbLoadBytes)
	a.op(bpfSet, 7, 0, 0, 0)
	a.op(bpfAtomic, 8, 7, stateWaiting, unix.BPF_XCHG)
	a.op(bpfCopy, 1, 9, 0, 0)
	a.op(bpfSet, 2, 0, 0, ringNoWakeup)
	a.op(bpfCall, 0, 0, 0, helperRingbufSubmit)
	a.op(bpfCopy, 0, 7, 0, 0) // bytes of the message for the socket
	a.op(bpfExit, 0, 0, 0, 0)
}
