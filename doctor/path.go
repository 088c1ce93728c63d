package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mptcpctl/doctor/command"
	"mptcpctl/doctor/fallback"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/firewall"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// deadBackoff is how often the timer of a silent subflow has backed off before it is a failure.
const deadBackoff = 4

// silent is D43: the socket says established, and nothing gets through.
func silent(v *view) []Finding {
	var g group
	for i := range v.Connections {
		c := &v.Connections[i]
		if c.Fallback {
			continue
		}
		for j := range c.Subflows {
			s := &c.Subflows[j]
			if s.TCP != mptcp.StateEstablished || s.State == mptcp.SubflowClosed {
				continue
			}
			why, sure, severity := v.silence(s)
			if why == "" {
				continue
			}
			g.add(
				s.Local.Addr().String()+s.Remote.Addr().String()+why, c,
				func() Finding { return v.silentFinding(c, s, why, sure, severity) },
			)
		}
	}
	return g.list
}

// unanswered is D43 for connections that do not come up: no SYN is answered. Nothing is
// known of MPTCP on that path, though the kernel has left it out of the last ones.
func unanswered(v *view) []Finding {
	var g group
	for i := range v.Connections {
		c := &v.Connections[i]
		if c.State != mptcp.StateSynSent || len(c.Subflows) == 0 {
			continue
		}
		s := &c.Subflows[0]
		if s.TCP != mptcp.StateSynSent || !retried(s) {
			continue
		}
		g.add(c.Remote.String(), c, func() Finding { return v.unansweredFinding(c, s) })
	}
	return g.list
}

func (v *view) unansweredFinding(c *mptcp.Connection, s *mptcp.Subflow) Finding {
	f := Finding{
		Rule: rule.SilentPath, Severity: Fail, Confidence: track.Likely,
		Title:   fmt.Sprintf("%s does not answer, neither to SYN with MPTCP nor to plain SYN", c.Remote),
		Subject: Subject{Netns: v.Netns, Remote: c.Remote},
		Evidence: []string{
			fmt.Sprintf("connection %s: the SYN from %s was sent again and got no answer", c.Token, s.Local),
		},
		Fix: []string{
			fmt.Sprintf("traceroute -n %s   (shows where the path ends)", c.Remote.Addr()),
			fmt.Sprintf(
				"mptcpctl probe %s %d   (tries the other addresses of this host)", c.Remote.Addr(), c.Remote.Port(),
			),
		},
	}
	if n := v.total("MPCapableSYNTXDrop"); n > 0 && s.Backoff > 0 {
		f.Evidence = append(
			f.Evidence,
			fmt.Sprintf(
				"MPCapableSYNTXDrop: %d since the namespace was created: the kernel left MPTCP out of later SYN", n,
			),
		)
		return f
	}
	f.Title = fmt.Sprintf("%s has not answered yet", c.Remote)
	f.Severity, f.Alternatives = Warn, []rule.ID{rule.Blackhole}
	return f
}

// silence tells why nothing gets through the subflow, "" where it seems alive.
func (v *view) silence(s *mptcp.Subflow) (string, track.Confidence, Severity) {
	local := plain(s.Local.Addr())
	if v.ground.AddressTrouble(local) == ledger.AddressMissing && (v.Network.Routes != nil || s.Backoff > 0) {
		return fmt.Sprintf("address %s is no longer on this host", local), track.Certain, Fail
	}
	index := v.ground.LinkOf(s)
	l, known := v.links[index]
	if s.Bound && index > 0 && v.Network.Links != nil && !known {
		return fmt.Sprintf("the device with index %d no longer exists", index), track.Certain, Fail
	}
	if known && !l.Usable() && (s.Bound || s.Backoff > 0) {
		return fmt.Sprintf("link %s: %s", l.Name, l.State()), track.Certain, Fail
	}
	severity := Warn
	if s.Backoff >= deadBackoff {
		severity = Fail
	}
	switch {
	case track.Unanswered(s):
		return "no acknowledgement arrives", track.Likely, severity
	case track.OneWay(s):
		return "packets arrive, but sent data is not acknowledged", track.Likely, severity
	}
	return "", track.ConfidenceNone, Info
}

func (v *view) silentFinding(
	c *mptcp.Connection, s *mptcp.Subflow, why string, sure track.Confidence, severity Severity,
) Finding {
	e, hasEndpoint := v.endpoint(s.Local.Addr())
	f := Finding{
		Rule: rule.SilentPath, Severity: severity, Confidence: sure,
		Title:   fmt.Sprintf("the subflow from %s to %s is silent: %s", s.Local.Addr(), s.Remote, why),
		Subject: Subject{Remote: s.Remote, Device: s.Device},
		Evidence: []string{
			fmt.Sprintf(
				"connection %s: %s to %s, last acknowledgement %d ms ago", c.Token, s.Local, s.Remote, s.LastAckMS,
			),
			fmt.Sprintf("timeout doubled %s, %s not acknowledged", count(int(s.Backoff), "time"),
				count(int(s.Unacked), "segment")),
		},
		Fix: []string{
			"repair the link; sysctl net.ipv4.tcp_retries2 sets how long the kernel waits before it gives up",
		},
	}
	if hasEndpoint && !s.Initial {
		f.Subject = v.onEndpoint(e)
		f.Subject.Remote = s.Remote
		f.Fix = append(f.Fix, repair(v, e)...)
	}
	if sure == track.Certain {
		f.Excluded = excluding("from there nothing leaves, so that nothing on the path can be to blame",
			rule.OptionStripped, rule.CarriesNothing)
	} else {
		v.blameSubflow(&f, firewall.Data, s)
	}
	return f
}

// carriesNothing is D47: a subflow that is up and has no share of the traffic.
func carriesNothing(v *view) []Finding {
	var g group
	for i := range v.Connections {
		c := &v.Connections[i]
		if c.Fallback || c.SubflowsUp() < 2 {
			continue
		}
		for j := range c.Subflows {
			s := &c.Subflows[j]
			why, severity := v.unloved(c, s)
			if why == "" {
				continue
			}
			g.add(s.Local.Addr().String()+s.Remote.Addr().String()+why, c, func() Finding {
				return Finding{
					Rule: rule.CarriesNothing, Severity: severity, Confidence: track.Likely,
					Title: fmt.Sprintf(
						"the subflow from %s to %s carries nothing: %s", s.Local.Addr(), s.Remote.Addr(), why,
					),
					Subject: Subject{Remote: s.Remote, Device: s.Device},
					Evidence: []string{fmt.Sprintf("connection %s: share %.1f%%, rtt %d us, cwnd %d%s",
						c.Token, s.Share*100, s.RTTMicros, s.Cwnd, s.BackupWords())},
					Fix: v.carryAgain(s),
				}
			})
		}
	}
	return g.list
}

// carryAgain is what lets the subflow carry data: each host takes back what it asked for.
func (v *view) carryAgain(s *mptcp.Subflow) []string {
	var fix []string
	if s.BackupLocal {
		i := slices.IndexFunc(v.Endpoints, func(e mptcp.Endpoint) bool {
			return plain(e.Address) == plain(s.Local.Addr()) && e.Flags.Has(mptcp.FlagBackup)
		})
		if i >= 0 {
			fix = append(
				fix,
				command.NoBackup(
					fmt.Sprintf("id %d", v.Endpoints[i].ID), v.Endpoints[i].Flags,
				)+"   (if it should carry data)",
			)
		}
	}
	if s.BackupRemote {
		fix = append(
			fix,
			fmt.Sprintf(
				"on the peer: mptcpctl endpoint change %s nobackup   (if it should carry data)", s.Remote.Addr(),
			),
		)
	}
	switch {
	case fix != nil:
		return fix
	case s.State == mptcp.SubflowStale:
		return []string{
			fmt.Sprintf("traceroute -n -s %s %s   (shows where the path ends)", s.Local.Addr(), s.Remote.Addr()),
		}
	case s.BackupLocal:
		return []string{
			"whoever made it a backup can take that back: no endpoint of this host has its address and the flag",
		}
	}
	return []string{"nothing is wrong: the kernel prefers the faster subflow while that has room"}
}

// busyBytes is how much a connection must have carried before a share says
// anything.
const busyBytes = 1 << 20

// unloved tells why the scheduler leaves the subflow out, "" where it does not.
func (v *view) unloved(c *mptcp.Connection, s *mptcp.Subflow) (string, Severity) {
	if s.State == mptcp.SubflowStale {
		return "the kernel considers the path dead (stale)", Warn
	}
	if !s.State.Up() || s.Share > 0.01 || c.BytesSent+c.BytesReceived < busyBytes {
		return "", Info
	}
	if s.BackupLocal || s.BackupRemote {
		return "it is a backup", Info
	}
	fastest := uint32(0)
	for i := range c.Subflows {
		if o := &c.Subflows[i]; o != s && o.State.Up() && o.RTTMicros > 0 && (fastest == 0 || o.RTTMicros < fastest) {
			fastest = o.RTTMicros
		}
	}
	if fastest > 0 && slow(s, 10*fastest) {
		return fmt.Sprintf("its round-trip time is %d times as long", s.RTTMicros/fastest), Info
	}
	return "", Info
}

// slow reports whether the subflow's round trip is known to take longer than that:
// not by its first samples, the variance of which is half of it.
func slow(s *mptcp.Subflow, than uint32) bool {
	return s.MinRTTMicros > than && s.RTTMicros > than && s.RTTVarMicros < s.RTTMicros/4
}

// damaged is D39: data was changed on the way. Checksums say so for sure; a mapping
// that is damaged may also be one that was removed.
func damaged(v *view) []Finding {
	f := Finding{
		Rule: rule.DataChanged, Severity: Fail, Confidence: track.Likely,
		Title:        "a middlebox changes the data, or removes MPTCP from it",
		Subject:      Subject{Netns: v.Netns},
		Fix:          fallback.Fix(rule.DataChanged, netip.AddrPort{}),
		Alternatives: []rule.ID{rule.OptionStripped},
	}
	for _, name := range damageCounters {
		n := v.moved(name)
		if n == 0 {
			continue
		}
		f.Evidence = append(f.Evidence, fmt.Sprintf("%s: %d in %s", name, n, v.MPTCP.Window))
		if !strings.HasPrefix(name, "DSSCorruption") {
			f.Confidence, f.Alternatives = track.Certain, nil
			f.Excluded = excluding("a checksum is verified only of data that came with its mapping",
				rule.OptionStripped)
			f.Title = "a middlebox changes the data"
		}
	}
	if f.Evidence == nil {
		return nil
	}
	return []Finding{f}
}

// strippedData is D38 without events: mappings vanished from data just now.
func strippedData(v *view) []Finding {
	n, m := v.moved("DssFallback"), v.moved("DssReset")
	if n+m == 0 || slices.ContainsFunc(v.Connections, func(c mptcp.Connection) bool { return c.Fallback }) {
		return nil
	}
	severity := Warn
	if v.moved("MPCapableACKRX")+v.moved("MPCapableSYNACKRX") > 100*(n+m) {
		severity = Info // of so many peers, one always sits behind a bad box
	}
	return []Finding{{
		Rule: rule.OptionStripped, Severity: severity, Confidence: track.Certain,
		Title:    "a middlebox removes MPTCP from data",
		Subject:  Subject{Netns: v.Netns},
		Evidence: v.counts("DssFallback", "DssReset"),
		Fix:      fallback.Fix(rule.OptionStripped, netip.AddrPort{}),
		Excluded: v.undamaged(),
	}}
}

// undamaged excludes that data was changed, by the counters of damage, which stand still.
func (v *view) undamaged() []Exclusion {
	for _, name := range damageCounters {
		if v.moved(name) > 0 {
			return nil
		}
	}
	return excluding("none of "+strings.Join(damageCounters[:], ", ")+" moved", rule.DataChanged)
}

// damageCounters move where data or its mapping was changed on the way.
var damageCounters = [...]string{
	"DataCsumErr", "MPFailTx", "MPFailRx", "InfiniteMapTx", "InfiniteMapRx", "DSSCorruptionFallback",
	"DSSCorruptionReset",
}
