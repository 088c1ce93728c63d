package pathmanager

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Engine names a way for events to come from the kernel.
type Engine uint8

// Engines. They give the same events, count losses exactly, and believe the kernel
// alone.
const (
	// EngineAuto begins as EngineNetlink and becomes EngineRing when events have come in
	// storms for so long (8,192 of them, at more than 18,000 a second) that the ring pays
	// for itself. It stays with EngineNetlink where the ring is not allowed, where the
	// kernel has none, and with AllNamespaces. No event is missed, repeated or reordered
	// by the change, and there is no change back.
	EngineAuto Engine = iota

	// EngineNetlink receives each message from the socket. It needs no more privilege than
	// to listen, and little memory while nothing happens.
	EngineNetlink

	// EngineRing attaches a BPF program to the socket, which copies the kernel's events
	// into a ring buffer and drops the messages. Events are read from the ring without
	// system calls, which costs several times less when many come. The program compares the
	// sender that the kernel has noted, so a forged message cannot pass, and the listener
	// proves on the running kernel that it does so before it uses the program.
	//
	// It needs CAP_BPF and CAP_PERFMON in the initial user namespace
	// ([io/fs.ErrPermission]) and Linux 5.12 ([mptcp.ErrNotSupported]). It allocates all its
	// memory at once, which takes some milliseconds with the default size. It does not serve
	// AllNamespaces ([mptcp.ErrNotSupported]), because the kernel runs the program before it
	// notes which namespace a message comes from.
	EngineRing
)

// String returns "auto", "netlink" or "ring".
func (e Engine) String() string {
	switch e {
	case EngineAuto:
		return "auto"
	case EngineNetlink:
		return "netlink"
	case EngineRing:
		return "ring"
	}
	return fmt.Sprintf("engine %d", uint8(e))
}

// ParseEngine returns the engine of a name that String returns.
func ParseEngine(name string) (Engine, error) {
	for e := EngineAuto; e <= EngineRing; e++ {
		if e.String() == name {
			return e, nil
		}
	}
	return 0, fmt.Errorf("engine %q: want auto, netlink or ring", name)
}

// engine is a way for events to come, with a state of its own: the socket, or a ring in
// front of it. The listener waits, judges and delivers in the same way with both.
//
// One goroutine reads at a time; others may call count and size meanwhile.
type engine interface {
	// name returns EngineNetlink or EngineRing.
	name() Engine

	// take reads what has come into b, and returns how many messages of the kernel that
	// were. Without any it returns EAGAIN; with wait it waits for one first, for as long
	// as the socket's SO_RCVTIMEO allows. After EINTR it has to be called again.
	take(b *batch, wait bool) (n int, errno unix.Errno)

	// size returns the bytes of the buffer in which events wait to be read.
	size() int

	// capacity returns how many events can wait there at most.
	capacity() int

	// count returns how many events were lost up to now, including losses that the stream
	// has not come to yet, and how many messages were refused.
	count() (lost, refused uint64)

	// close closes the descriptors and gives the memory back.
	close() error
}
