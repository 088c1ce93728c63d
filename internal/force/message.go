package force

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"mptcpctl/internal/uapi"
)

const protocolMPTCP = uapi.IPPROTO_MPTCP

// Socket is one TCP stream socket that the program or a descendant asked for.
type Socket struct {
	Cookie uint64    `json:"cookie,omitempty"` // SO_COOKIE of the MPTCP socket; 0: it got TCP
	Family int       `json:"family"`           // AF_INET or AF_INET6
	PID    int       `json:"pid"`
	Name   string    `json:"name"` // of the process: foreign text
	Time   time.Time `json:"time"`
	Why    string    `json:"why,omitempty"` // why it got TCP
}

// answer is what the supervisor tells when the process in front asks for news.
type answer struct {
	Seq     uint32   `json:"seq"`
	Sockets []Socket `json:"sockets,omitempty"`
	Notices []string `json:"notices,omitempty"`
	Lost    int      `json:"lost,omitempty"` // sockets not told of, for want of room
	Served  bool     `json:"served"`         // it has got the listener
	Alive   bool     `json:"alive"`          // a descendant lives
	More    bool     `json:"more,omitempty"`
}

const (
	maxPending = 1 << 14 // sockets that the supervisor keeps until it is asked
	maxBatch   = 256     // sockets in one answer: it must fit a socket buffer
	maxAnswer  = 1 << 17
)

// news is what the supervisor has to tell.
type news struct {
	sockets []Socket
	notices []string
	lost    int
	said    map[string]bool
}

func (n *news) socket(s Socket) {
	if len(n.sockets) >= maxPending {
		n.lost++
		return
	}
	n.sockets = append(n.sockets, s)
}

// notice keeps a text to be said, once.
func (n *news) notice(text string) {
	if n.said[text] {
		return
	}
	if n.said == nil {
		n.said = make(map[string]bool)
	}
	n.said[text] = true
	n.notices = append(n.notices, text)
}

// take moves as much as fits one answer out of the news.
func (n *news) take(a *answer) {
	k := min(len(n.sockets), maxBatch)
	a.Sockets, n.sockets = n.sockets[:k:k], n.sockets[k:]
	a.Notices, n.notices = n.notices, nil
	a.Lost, n.lost = n.lost, 0
	a.More = len(n.sockets) > 0
}

// encodeQuestion and decodeQuestion carry the number by which an answer is known.
func encodeQuestion(seq uint32) []byte { return binary.NativeEndian.AppendUint32(nil, seq) }

func decodeQuestion(b []byte) (uint32, error) {
	if len(b) != 4 {
		return 0, fmt.Errorf("question of %d bytes", len(b))
	}
	return binary.NativeEndian.Uint32(b), nil
}

func encodeAnswer(a *answer) ([]byte, error) { return json.Marshal(a) }

func decodeAnswer(b []byte) (*answer, error) {
	var a answer
	if err := json.Unmarshal(b, &a); err != nil {
		return nil, fmt.Errorf("supervisor's answer: %w", err)
	}
	return &a, nil
}
