package filter

import (
	"strings"

	"mptcpctl/mptcp"
)

// stateSet is a set of socket states, bit 1 << state.
type stateSet uint32

func (s stateSet) has(state mptcp.SocketState) bool { return state < 32 && s&(1<<state) != 0 }

// The states that the kernel has, and the groups of ss.
const (
	allStates    stateSet = 1<<(mptcp.StateNewSynRecv+1) - 2
	bucketStates stateSet = 1<<mptcp.StateSynRecv | 1<<mptcp.StateNewSynRecv | 1<<mptcp.StateTimeWait
	idleStates   stateSet = 1<<mptcp.StateClosed | 1<<mptcp.StateListen
)

// stateWords are the words for states and groups of states, in the order in which
// they are offered. The canonical form uses the first that fits.
var stateWords = []struct {
	word string
	set  stateSet
}{
	{"established", 1 << mptcp.StateEstablished}, {"syn-sent", 1 << mptcp.StateSynSent},
	{"syn-recv", 1<<mptcp.StateSynRecv | 1<<mptcp.StateNewSynRecv}, {"fin-wait-1", 1 << mptcp.StateFinWait1},
	{"fin-wait-2", 1 << mptcp.StateFinWait2}, {"time-wait", 1 << mptcp.StateTimeWait},
	{"closed", 1 << mptcp.StateClosed}, {"close-wait", 1 << mptcp.StateCloseWait},
	{"last-ack", 1 << mptcp.StateLastAck}, {"listening", 1 << mptcp.StateListen},
	{"closing", 1 << mptcp.StateClosing}, {"all", allStates}, {"connected", allStates &^ idleStates},
	{"synchronized", allStates &^ idleStates &^ (1 << mptcp.StateSynSent)}, {"bucket", bucketStates},
	{"big", allStates &^ bucketStates},
}

// unaliased returns the word for a state in place of another spelling that ss takes or
// prints.
func unaliased(word string) string {
	switch word {
	case "estab":
		return "established"
	case "syn-rcv":
		return "syn-recv"
	case "close", "unconnected", "unconn":
		return "closed"
	case "listen":
		return "listening"
	}
	return word
}

// parseStates returns the set that a word names, in any case.
func parseStates(word string) (stateSet, bool) {
	word = unaliased(strings.ToLower(word))
	for _, s := range stateWords {
		if s.word == word {
			return s.set, true
		}
	}
	return 0, false
}

// String returns the term that stands for the set.
func (s stateSet) String() string {
	if s == 0 {
		return "exclude all"
	}
	for _, w := range stateWords {
		if w.set == s {
			return "state " + w.word
		}
	}
	var names []string
	for _, w := range stateWords {
		if w.set&s == w.set {
			names = append(names, w.word)
			s &^= w.set
		}
	}
	return "state " + strings.Join(names, ",")
}
