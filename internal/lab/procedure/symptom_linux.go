package procedure

import (
	"errors"
	"fmt"
	"strconv"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/scenario"

	"golang.org/x/sys/unix"
)

// shows reports whether the symptom shows, and what is seen.
func (t *Trial) shows(s scenario.Symptom) (bool, string, error) {
	host := t.Lab.Host(s.Host)
	switch s.Kind {
	case scenario.CounterAt:
		n, known, err := host.Counter(s.Counter)
		return n >= s.Count || !known, strconv.FormatUint(n, 10), err
	case scenario.Subflows:
		return t.haveSubflows(s)
	case scenario.FellBack:
		return t.haveFallenBack()
	}
	state, count := "02", uint64(1) // SYN-SENT
	if s.Kind == scenario.PathSilent {
		state, count = "01", s.Count // ESTABLISHED
	}
	sent, found, err := host.SentAgain(s.Address, state)
	if !found {
		return false, "no such socket", err
	}
	return sent >= count, fmt.Sprintf("sent again %d times", sent), err
}

// conns are the ends of the held connections at that host.
func (t *Trial) conns(host string) []*lab.Conn {
	if host == lab.ServerHost && t.talk.server != nil {
		return t.talk.server.Conns()
	}
	return t.talk.held
}

func (t *Trial) haveSubflows(s scenario.Symptom) (bool, string, error) {
	conns := t.conns(s.Host)
	for _, c := range conns {
		if n := c.AdditionalSubflows(); n != int(s.Count) {
			return false, fmt.Sprintf("%d additional subflows", n), nil
		}
	}
	return len(conns) >= len(t.talk.held), fmt.Sprintf("%d connections", len(conns)), nil
}

func (t *Trial) haveFallenBack() (bool, string, error) {
	for _, c := range t.talk.held {
		if _, err := c.Info(); !errors.Is(err, unix.EOPNOTSUPP) {
			return false, "still MPTCP", nil
		}
	}
	return true, "", nil
}
