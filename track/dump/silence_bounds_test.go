package dump

import (
	"testing"

	"mptcpctl/mptcp"
)

// TestSilenceBounds: one packet that is lost after a rest, with what is sent again of it, does
// not make a subflow silent; a second loss does, and so does a third where packets come in.
func TestSilenceBounds(t *testing.T) {
	for _, c := range []struct {
		backoff, lastAckMS, unacked uint32
		unanswered, oneWay          bool
	}{
		{0, 60_000, 0, false, false},
		{1, 60_000, 1, false, false},
		{2, 999, 1, false, false},
		{2, 1000, 1, true, false},
		{3, 100, 1, false, true},
		{3, 100, 0, false, false}, // a closed window, and its probes are answered
		{5, 60_000, 0, true, false},
	} {
		s := &mptcp.Subflow{Backoff: uint8(c.backoff), LastAckMS: c.lastAckMS, Unacked: c.unacked, RTTMicros: 1000}
		if got, way := Unanswered(s), OneWay(s); got != c.unanswered || way != c.oneWay {
			t.Errorf("%+v: unanswered %v, one way %v", c, got, way)
		}
		evidence, sure := new(Facts).Silence(s)
		if silent := sure > ConfidenceNone; silent != (c.unanswered || c.oneWay) || len(evidence) > 1 {
			t.Errorf("%+v: %v %q", c, sure, evidence)
		}
	}
}
