package mptcp_test

import (
	"testing"

	"mptcpctl/mptcp"
)

// A peer that reads nothing answers to the probes of its window, which come ever more
// rarely; one that is gone does not.
func TestAnswersProbes(t *testing.T) {
	for _, test := range []struct {
		name string
		s    mptcp.Subflow
		want bool
	}{
		{"nothing under way", mptcp.Subflow{}, true},
		{"answered the fourth probe", mptcp.Subflow{Backoff: 4, LastAckMS: 1868, RTTMicros: 66}, true},
		{"no answer for too long", mptcp.Subflow{Backoff: 4, LastAckMS: 6500, RTTMicros: 66}, false},
		{"data is not acknowledged", mptcp.Subflow{Backoff: 4, LastAckMS: 1868, Unacked: 1}, false},
		{"a slow path", mptcp.Subflow{Backoff: 1, LastAckMS: 1500, RTTMicros: 600_000}, true},
	} {
		if got := test.s.AnswersProbes(); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
