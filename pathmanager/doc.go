// Package pathmanager speaks with the path manager of the Linux kernel, the
// generic netlink family mptcp_pm: all its commands ([Client]) and its stream of
// events ([Listener]).
//
// # Privileges
//
// Listing endpoints, reading limits and asking for the commands needs no
// privilege. Everything that changes something, and [Listen], needs CAP_NET_ADMIN
// in the user namespace that owns the network namespace; without it the error is
// [io/fs.ErrPermission]. The kernel checks the capability when a listener joins the
// group, so the process may drop it afterwards. Receiving from all network namespaces
// also needs CAP_NET_BROADCAST.
//
// # Namespaces
//
// [Dial] and [Listen] open their sockets in the network namespace of the calling
// thread. The sockets stay there, whichever goroutine uses them later.
//
// # Events are not a state machine
//
// The stream tells less than it seems to. CLOSED means that the application closed the
// socket, not that the connection ended. It may come without CREATED (the connect
// failed, or fell back), and never comes when the peer aborts the connection. The
// initial subflow has no SF_ESTABLISHED, a failed join has SF_CLOSED only, and a
// fallback has no event at all. A program that needs the state has to compare the events
// with the sockets. An event carries the fields that [mptcp.Event.Has] names; the others
// are not zero but unknown.
//
// # Order and time
//
// Events come in the order in which the kernel sent them. For one token on one
// side, CREATED comes before ESTABLISHED, and both come before the events of subflows
// and before CLOSED; ANNOUNCED, REMOVED and SF_PRIO may come after CLOSED. The events
// of the two ends of a connection within one host have no order. The kernel sends no
// time: Event.Time is when the message was read, one clock reading for all messages that
// were read at once. If the reader had been away for more than 100 ms, because it or the
// whole process was busy or stopped, Event.Late says how much earlier the event may have
// come.
//
// # Losses
//
// When events come faster than they are read until the receive buffer
// ([ListenConfig.Buffer], 832 bytes an event) is full, the kernel drops those that
// follow. It counts them, and the stream has that number in an event of type
// [mptcp.EventLost]: after the events that were queued before the loss and, as far
// as can be known, before those that were queued after it. Events received and
// events lost add up to what the kernel sent. With AllNamespaces, all namespaces
// share the buffer, and a loss may concern any of them. A message that cannot be
// decoded is a loss of one at its place; so is one that the socket filter of another
// listener cut short for all. What the kernel itself could not allocate is counted
// nowhere.
//
// # Bursts
//
// Up to about 18,000 events a second each event is delivered at once. Above that rate
// the listener lets events gather for at most 2 ms after it has delivered a batch,
// because waking up costs more than an event: this cuts its cost, and what the kernel's
// work costs the connections, several times. The first event after a pause is always
// delivered at once.
//
// # Engines
//
// [EngineNetlink] receives from the socket, [EngineRing] reads a BPF ring buffer
// without system calls. Both give the same events. The ring knows the place of a
// loss exactly, because each record carries the count of losses. It holds more
// events in less memory, and costs several times less when many come. [EngineRing]
// says what it needs. By default, [EngineAuto], a listener begins with EngineNetlink and
// changes to EngineRing in the middle of the stream when storms of events have shown
// that the ring pays, if it is allowed. No event is missed, repeated or reordered then.
// Other listeners of the group notice nothing of either.
//
// # Trust
//
// Any process with CAP_NET_ADMIN in the namespace can send to the event group, and
// to a listener's port. So can root of a container, towards a listener of all
// namespaces. A message counts only if it came from port id 0, which belongs to the
// kernel, and was sent to the group. The listener drops and counts all others:
// [Listener.Refused]. They take room in the receive buffer until then, but none in the
// ring.
//
// # Listening has effects
//
// As soon as one listener exists anywhere on the host, the kernel builds events in
// all network namespaces. Connections under a userspace path manager then accept
// joins, and echo announced addresses, that they would refuse without a listener:
// the kernel takes any listener for the path manager's daemon.
package pathmanager
