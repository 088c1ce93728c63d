package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor/fallback"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/firewall"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// fallbacks is D05, D07, D12, D33, D38, D39 and D46 for connections that speak TCP.
func fallbacks(v *view) []Finding {
	const many = 8 // so many peers are shown one by one
	var g group
	peers := map[string]map[netip.AddrPort]bool{}
	for i := range v.Connections {
		c := &v.Connections[i]
		if !c.Fallback {
			continue
		}
		cause, around := v.cause(c)
		key, peer := string(cause.Rule)+cause.Counter, c.Remote
		if c.Side == mptcp.SideServer {
			peer = c.Local
		}
		if peers[key] == nil {
			peers[key] = map[netip.AddrPort]bool{}
		}
		if peers[key][peer] || len(peers[key]) < many {
			peers[key][peer] = true
			g.add(key+peer.String(), c, func() Finding { return v.fallbackFinding(c, cause, around) })
			continue
		}
		g.add(key, c, func() Finding {
			f := v.fallbackFinding(c, cause, around)
			f.Title = "connections to further peers use plain TCP: " + cause.Text
			f.Subject.Remote = netip.AddrPort{}
			return f
		})
	}
	return g.list
}

// cause decides why the connection fell back, on the counters that moved while it
// was watched, or else on all that were counted.
func (v *view) cause(c *mptcp.Connection) (fallback.Cause, counters.Values) {
	events := v.events[c.Token]
	stage := fallback.StageOf(events, v.watched(c.Token))
	around := v.MPTCP.Now
	if v.MPTCP.Window > 0 && !c.Since.IsZero() && !c.Since.Before(v.Time.Add(-v.MPTCP.Window)) {
		around = v.MPTCP.Moved
	}
	if plainAt(v, c) {
		return fallback.Cause{
			Rule:       rule.ServerUsesTCP,
			Text:       "the program that listens there uses a TCP socket",
			Confidence: track.Certain,
			Excluding:  "the peer's listener is on this host: no packet of the connection leaves it",
		}, around
	}
	cause := fallback.CauseOf(stage, c.Side, around)
	if c.FallbackCause != "" && c.FallbackCause != cause.Counter {
		if seen, ok := fallback.Named(c.FallbackCause); ok { // an observer saw it happen
			cause, cause.Excluding = seen, "only this counter moved when the connection fell back"
		}
	}
	if n := v.fastOpenRefused(c); n > 0 && cause.Counter == dataFallback {
		return fallback.Cause{
			Rule:       rule.SocketOption,
			Counter:    cause.Counter,
			Confidence: min(cause.Confidence, track.Likely),
			Candidates: cause.Candidates,
			Text: "the peer did not take the data in the SYN (TCP Fast Open), and it was sent again without " +
				"MPTCP",
		}, around
	}
	if cause.Rule == rule.PeerWithoutMPTCP && v.stripsHere(c) {
		cause = fallback.Cause{
			Rule:       rule.ServerUsesTCP,
			Counter:    cause.Counter,
			Text:       "the firewall of this host removes MPTCP",
			Confidence: track.Certain,
			Excluding:  "the rule removes MPTCP from every such handshake before it leaves this host",
		}
	}
	return cause, around
}

// dataFallback counts connections whose first data came without MPTCP: a middlebox removed
// it, or the data was in a SYN that the peer did not take it from.
const dataFallback = "MPCapableDataFallback"

// fastOpenRefused returns how often Fast Open failed for connections made here, in the
// time in which the connection may have fallen back.
func (v *view) fastOpenRefused(c *mptcp.Connection) uint64 {
	if c.Side == mptcp.SideServer {
		return 0
	}
	values := v.TCP.Now
	if v.TCP.Window > 0 && !c.Since.IsZero() && !c.Since.Before(v.Time.Add(-v.TCP.Window)) {
		values = v.TCP.Moved
	}
	n, _ := values.Get("TCPFastOpenActiveFail")
	return n
}

// plainAt reports whether the peer of the connection is a program on this host
// with a TCP listener.
func plainAt(v *view, c *mptcp.Connection) bool {
	return c.Side != mptcp.SideServer && v.within(c) && v.Listeners != nil &&
		listens(
			v.PlainListeners, c.Remote.Addr(), c.Remote.Port(),
		) && !listens(v.Listeners, c.Remote.Addr(), c.Remote.Port())
}

func (v *view) fallbackFinding(c *mptcp.Connection, cause fallback.Cause, around counters.Values) Finding {
	f := Finding{
		Rule: cause.Rule, Severity: Warn, Confidence: cause.Confidence,
		Title:    fmt.Sprintf("the connection to %s uses plain TCP: %s", c.Remote, cause.Text),
		Subject:  Subject{Remote: c.Remote},
		Evidence: []string{fmt.Sprintf("connection %s: fallback", c.Token)},
		Fix:      fallback.Fix(cause.Rule, c.Remote),
		Excluded: v.excludedFallbacks(c, cause),
	}
	if moves := cause.Moves(around); moves != "" {
		f.Evidence = append(f.Evidence, moves)
	}
	if cause.Counter == "" && cause.Confidence == track.Possible {
		f.Evidence = append(f.Evidence, "no counter shows the cause: older kernels do not count some causes")
	}
	switch cause.Rule {
	case rule.SocketOption:
		if n := v.fastOpenRefused(c); n > 0 && cause.Counter == dataFallback {
			f.Evidence = append(f.Evidence, fmt.Sprintf("TCPFastOpenActiveFail: %d", n))
			f.Alternatives, f.Fix = []rule.ID{rule.OptionStripped}, fallback.FastOpenFix()
		}
	case rule.PeerWithoutMPTCP:
		f.Alternatives = []rule.ID{rule.ServerUsesTCP}
	case rule.ServerUsesTCP:
		if plainAt(v, c) {
			f.Fix = f.Fix[:1] // nothing on the way has to do with it
		}
		v.blameWay(&f, firewall.Capable, c.Local, c.Remote, "")
	case rule.Blackhole:
		f.Evidence = append(f.Evidence, v.blackholeTime()...)
		v.blameWay(&f, firewall.Capable, c.Local, c.Remote, "")
	case rule.OptionStripped:
		v.blameWay(&f, firewall.Data, c.Local, c.Remote, "")
	}
	return f
}

// stripsHere reports whether the firewall of this host removes MPTCP from the
// handshake of such a connection for sure.
func (v *view) stripsHere(c *mptcp.Connection) bool {
	return slices.ContainsFunc(
		v.filtered(firewall.Capable, c.Local, c.Remote, v.way(c.Local, c.Remote, "")),
		func(h firewall.Hit) bool {
			return h.Sure && h.Deed == firewall.Strips
		},
	)
}

// blackhole is D33: MPTCP is switched off for a time, as SYN with it vanished.
func blackhole(v *view) []Finding {
	disabled, drops := v.moved("MPCapableSYNTXDisabled"), v.moved("Blackhole")
	if len(v.Blackholed) == 0 && disabled == 0 && drops == 0 {
		return nil
	}
	f := Finding{
		Rule: rule.Blackhole, Severity: Fail, Confidence: track.Certain,
		Title:   "new connections do not use MPTCP for a while, because a SYN with MPTCP got no answer",
		Subject: Subject{Netns: v.Netns},
		Excluded: excluding("only the detection of blackholes makes such sockets and moves these counters",
			rule.SwitchedOff, rule.PeerWithoutMPTCP, rule.SYNReset),
		Fix: []string{
			"find the firewall that drops SYN packets with TCP option 30",
			"sysctl -w net.mptcp.blackhole_timeout=0   (for new connections: MPTCP at once, always)",
		},
	}
	if n := len(v.Blackholed); n > 0 {
		f.Subject.Remote = v.Blackholed[0].Remote
		f.Evidence = append(
			f.Evidence,
			fmt.Sprintf(
				"%s on MPTCP sockets without MPTCP, for example to %s", count(n, "connection"),
				v.Blackholed[0].Remote,
			),
		)
	}
	f.Evidence = append(f.Evidence, v.counts("Blackhole", "MPCapableSYNTXDisabled", "MPCapableSYNTXDrop")...)
	f.Evidence = append(f.Evidence, v.blackholeTime()...)
	for i := range v.Blackholed {
		b := &v.Blackholed[i]
		v.blameWay(&f, firewall.Capable, b.Local, b.Remote, "")
	}
	return []Finding{f}
}

// blackholeTime tells how long MPTCP stays off: the timeout, doubled with each
// further time up to 64-fold (mptcp_active_detect_blackhole).
func (v *view) blackholeTime() []string {
	base, times := v.Sysctls.BlackholeTimeout, v.total("Blackhole")
	if base == nil || *base == 0 || times == 0 {
		return nil
	}
	period := *base << min(times-1, 6)
	if v.BlackholeSeen.IsZero() {
		return []string{
			fmt.Sprintf(
				"this lasts at most %s more (happened %d times, net.mptcp.blackhole_timeout %s)", period, times,
				*base,
			),
		}
	}
	left := max(v.BlackholeSeen.Add(period).Sub(v.Time), 0).Truncate(time.Second)
	return []string{
		fmt.Sprintf("this lasts %s more (of %s, began at %s)", left, period, v.BlackholeSeen.UTC().Format("15:04:05")),
	}
}

// orphans is D05, D33, D34 and their like for connections that ended before they
// were MPTCP: CLOSED for a token that never had CREATED.
func orphans(v *view) []Finding {
	if v.EventsSince.IsZero() || v.EventsLost > 0 {
		return nil
	}
	alive := make(map[mptcp.Token]bool, len(v.Connections))
	for i := range v.Connections {
		alive[v.Connections[i].Token] = true
	}
	var g group
	for _, ev := range v.Events {
		token := ev.Token
		events := v.events[token]
		if ev.Type != mptcp.EventClosed || ev.Netns != v.Netns || v.earlier[token] || alive[token] ||
			len(events) == 0 ||
			events[0].Type != mptcp.EventClosed {
			continue
		}
		if v.MPTCP.Window == 0 || ev.Time.Before(v.Time.Add(-v.MPTCP.Window)) {
			continue // no counters around it
		}
		cause := fallback.CauseOf(fallback.Handshake, mptcp.SideClient, v.MPTCP.Moved)
		g.add(
			string(cause.Rule)+cause.Counter, &mptcp.Connection{Token: token},
			func() Finding { return v.orphanFinding(token, cause) },
		)
	}
	return g.list
}

func (v *view) orphanFinding(token mptcp.Token, cause fallback.Cause) Finding {
	closed := fmt.Sprintf("CLOSED for token %s without an earlier CREATED", token)
	if cause.Counter != "" {
		var others []rule.ID
		if cause.Rule == rule.PeerWithoutMPTCP { // the answer looks the same where the option was removed
			others = []rule.ID{rule.ServerUsesTCP}
		}
		return Finding{
			Rule: cause.Rule, Severity: Warn, Confidence: cause.Confidence, Alternatives: others,
			Title:    "a connection used plain TCP from the start: " + cause.Text,
			Evidence: []string{closed, cause.Moves(v.MPTCP.Moved) + " in " + v.MPTCP.Window.String()},
			Fix:      fallback.Fix(cause.Rule, netip.AddrPort{}),
			Excluded: v.excludedFallbacks(&mptcp.Connection{Side: mptcp.SideClient}, cause),
		}
	}
	f := Finding{
		Rule: rule.SYNReset, Severity: Info, Confidence: track.Possible,
		Title:    "connecting failed: the peer's port is closed, or a firewall resets SYN packets with MPTCP",
		Evidence: []string{closed, "no fallback counter changed"},
		Fix: []string{
			"mptcpctl probe, with the host and port that the program connects to, shows whether plain TCP works",
		},
	}
	for _, p := range v.Probes {
		if p.MPTCP && p.Error == connRefused && v.plainWorks(p) {
			f.Severity, f.Confidence = Fail, track.Certain
			f.Title = fmt.Sprintf("a firewall on the path to %s resets SYN packets with MPTCP", p.Remote)
			f.Subject.Remote = p.Remote
			f.Excluded = excluding("over plain TCP the port is open, and the path works", rule.ListenerClosed,
				rule.SilentPath)
			f.Evidence = append(f.Evidence, "connecting over MPTCP was refused, but works over plain TCP")
		}
	}
	return f
}

func (v *view) plainWorks(p Probe) bool {
	for _, q := range v.Probes {
		if !q.MPTCP && q.Remote == p.Remote && q.Error == 0 {
			return true
		}
	}
	return false
}
