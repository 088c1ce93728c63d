package mptcp

import "strconv"

// SocketState is the state of a TCP or MPTCP socket, with the kernel's number
// (linux/tcp_states.h).
type SocketState uint8

// The states.
const (
	StateEstablished SocketState = 1
	StateSynSent     SocketState = 2
	StateSynRecv     SocketState = 3
	StateFinWait1    SocketState = 4
	StateFinWait2    SocketState = 5
	StateTimeWait    SocketState = 6
	StateClosed      SocketState = 7
	StateCloseWait   SocketState = 8
	StateLastAck     SocketState = 9
	StateListen      SocketState = 10
	StateClosing     SocketState = 11
	StateNewSynRecv  SocketState = 12
)

// stateNames holds the words that ss takes in its filters.
var stateNames = [...]string{
	"", "established", "syn-sent", "syn-recv", "fin-wait-1", "fin-wait-2", "time-wait",
	"closed", "close-wait", "last-ack", "listening", "closing", "syn-recv",
}

// String returns the state in the word that ss takes in a filter.
func (s SocketState) String() string {
	if int(s) < len(stateNames) && s > 0 {
		return stateNames[s]
	}
	return "state " + strconv.Itoa(int(s))
}

// Closing reports whether the socket is on its way to the end, or there.
func (s SocketState) Closing() bool {
	switch s {
	case StateFinWait1, StateFinWait2, StateTimeWait, StateClosed, StateCloseWait, StateLastAck, StateClosing:
		return true
	}
	return false
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (s SocketState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] for the names of String.
func (s *SocketState) UnmarshalText(text []byte) error {
	*s, _ = ParseSocketState(string(text))
	return nil
}

// ParseSocketState returns the state of that name.
func ParseSocketState(name string) (SocketState, bool) {
	for i, n := range stateNames {
		if i > 0 && n == name {
			return SocketState(i), true
		}
	}
	return 0, false
}

// SubflowState is what a subflow is to its connection.
type SubflowState uint8

// The states of a subflow.
const (
	SubflowUnknown     SubflowState = iota
	SubflowPending                  // the handshake is under way
	SubflowEstablished              // it can carry data
	SubflowClosing                  // one end has closed it
	SubflowClosed                   // it is gone
	SubflowSilent                   // its socket is established, and nothing gets through
	SubflowStale                    // the kernel takes it for lost and sends elsewhere
)

// Up reports whether the subflow came up and has not ended. A silent or stale subflow is
// up as far as its socket knows.
func (s SubflowState) Up() bool {
	return s != SubflowPending && s != SubflowClosing && s != SubflowClosed
}

var subflowStateNames = [...]string{"unknown", "pending", "established", "closing", "closed", "silent", "stale"}

// String returns the state's name.
func (s SubflowState) String() string {
	if int(s) < len(subflowStateNames) {
		return subflowStateNames[s]
	}
	return "state " + strconv.Itoa(int(s))
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (s SubflowState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] for the names of String.
func (s *SubflowState) UnmarshalText(text []byte) error {
	*s = SubflowUnknown
	for i, name := range subflowStateNames {
		if name == string(text) {
			*s = SubflowState(i)
		}
	}
	return nil
}
