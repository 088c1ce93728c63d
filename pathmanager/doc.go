// Package pathmanager speaks with the path manager of the Linux kernel, the
// generic netlink family mptcp_pm: all its commands ([Client]) and its stream of
// events ([Listener]).
//
// # Privileges
//
// Listing endpoints, reading limits and asking for the commands needs no
// privilege. Everything that changes something, and [Listen], needs CAP_NET_ADMIN
// in the user namespace that owns the network namespace, or else is
// [io/fs.ErrPermission]. The capability is looked at when the group is joined: it
// may be dropped afterwards. Receiving from all network namespaces needs
// CAP_NET_BROADCAST too.
//
// # Namespaces
//
// [Dial] and [Listen] open their sockets in the network namespace of the calling
// thread, and there the sockets stay, whichever goroutine uses them later.
//
// # Events are not a state machine
//
// The stream tells what the kernel tells, and that is less than it seems. CLOSED
// means that the application closed the socket, not that the connection ended. It
// may come without CREATED (the connect failed, or fell back), and never comes
// when the peer aborts the connection. The initial subflow has no SF_ESTABLISHED,
// a failed join has SF_CLOSED only, and a fallback has no event at all. Whoever
// wants state must compare with the sockets that there are. An event carries what
// [mptcp.Event.Has] says; the rest of its fields is not zero but unknown.
//
// # Order and time
//
// Events come in the order in which the kernel sent them. For one token on one
// side, CREATED comes before ESTABLISHED and both before what concerns subflows
// and before CLOSED; ANNOUNCED, REMOVED and SF_PRIO may come after CLOSED. The
// order of the two ends of a connection within one host tells nothing. The kernel
// stamps no time: Event.Time is when the message was read, one clock reading for
// all that were read at once. Where the reader was away for more than 100 ms before
// (and [ListenConfig.Coalesce]), because it or the whole process was busy or stopped,
// Event.Late says how much earlier the event may have come.
//
// # Losses
//
// When events come faster than they are read for so long that the receive buffer
// ([ListenConfig.Buffer], 832 bytes an event) is full, the kernel drops what comes.
// It counts what it drops, and that number is in the stream as an event of type
// [mptcp.EventLost]: after the events that were queued before the loss and, as far
// as can be told, before those that were queued after it. Events received and
// events lost add up to what the kernel sent. With AllNamespaces all namespaces
// share the buffer, and a loss may concern any of them. A message that cannot be
// decoded is a loss of one at its place, also one that came short because the socket
// filter of another listener cut it off for all. What the kernel itself could not
// allocate is counted nowhere.
//
// # Coalescing
//
// Waking up costs more than an event. Up to about 18,000 events a second each is
// delivered at once. Above, the listener lets them gather for at most 2 ms after a
// batch was delivered, which cuts its cost and that of the workload several times.
// With [ListenConfig.Coalesce] set, it does so above about 1,500 a second, and for
// at most that time: for who prefers a low cost to a short delay. Nobody else
// waits: the first event after a pause is always delivered at once.
//
// # Engines
//
// [EngineNetlink] receives from the socket, [EngineRing] reads a BPF ring buffer
// without system calls. Both give the same events. The ring tells the place of a
// loss exactly, as it notes the count of losses in each record; it holds more
// events in less memory, and costs several times less when many come. What it needs
// says [EngineRing]. By default, [EngineAuto], a listener begins with the former, and
// changes to the latter in the middle of the stream when storms of events have shown
// that it pays, and where it is allowed: nothing is missing then, comes twice, or out
// of order. Other listeners of the group notice nothing of either.
//
// # Trust
//
// Any process with CAP_NET_ADMIN in the namespace can send to the event group, and
// to a listener's port; so can root of a container, towards a listener of all
// namespaces. A message counts only if it came from port id 0, which is the
// kernel's alone, and was sent to the group. Others are dropped and counted:
// [Listener.Refused]. They take room in the receive buffer until then, none in the
// ring.
//
// # Listening is not free of effects
//
// As soon as one listener exists anywhere on the host, the kernel builds events in
// all network namespaces, and connections under a userspace path manager accept
// joins and echo announced addresses that they would refuse without a listener:
// the kernel takes any listener for the path manager's daemon.
package pathmanager
