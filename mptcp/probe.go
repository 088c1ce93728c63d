package mptcp

// AnswersProbes reports whether the peer may have closed its window, and still answers to
// the probes of it: its program reads nothing. The timeout doubles with each probe as with
// each retransmission (tcp_probe_timer), but nothing waits for an acknowledgement, and the
// last one came within twice the timeout.
func (s *Subflow) AnswersProbes() bool {
	const shortest = 200 // milliseconds, TCP_RTO_MIN
	timeout := shortest + s.RTTMicros/1000 + 4*s.RTTVarMicros/1000
	return s.Unacked == 0 && s.LastAckMS < 2*timeout<<min(s.Backoff, 12)
}
