package doctor

import (
	"fmt"
	"net/netip"
	"strings"

	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// plainTCP is D06: programs that open TCP sockets. On most hosts most of them do,
// so it is a warning only where the user asked for these very flows.
func plainTCP(v *view) []Finding {
	if len(v.Connections)+len(v.Blackholed) > 0 || len(v.Listeners) > 0 && v.Focus == "" || v.broken() {
		return nil
	}
	names, example := plainUsers(v)
	if names == "" {
		return nil
	}
	f := Finding{
		Rule: rule.ApplicationUsesTCP, Severity: Info, Confidence: track.Certain,
		Title:    "programs on this host use TCP sockets; none uses MPTCP",
		Subject:  Subject{Netns: v.Netns},
		Evidence: []string{example, "programs: " + names},
		Fix: []string{
			"mptcpctl run -- COMMAND   (runs a program with MPTCP sockets)",
			"a Go program: GODEBUG=multipathtcp=1; a systemd socket: SocketProtocol=mptcp; nginx: listen ... multipath",
		},
		Excluded: excluding("an MPTCP socket that fell back or got no MPTCP would be listed as one, and MPTCP sockets "+
			"can be made", rule.PeerWithoutMPTCP, rule.Blackhole, rule.SwitchedOff, rule.PolicyForbids),
	}
	switch {
	case v.Focus != "":
		f.Severity = Warn
		f.Title = "the matching connections are plain TCP: the program opens TCP sockets"
	case len(v.makers) == 0:
		return nil // nobody wants MPTCP here
	}
	return []Finding{f}
}

// plainUsers returns the programs with TCP sockets to or for other hosts, and one
// of the sockets as an example.
func plainUsers(v *view) (names, example string) {
	seen := map[string]bool{}
	var list []string
	add := func(processes []mptcp.Process) {
		for _, p := range processes {
			if !seen[p.Name] && len(list) < 8 {
				seen[p.Name] = true
				list = append(list, p.Name)
			}
		}
	}
	for _, f := range v.PlainFlows {
		if _, here := v.holders[plain(f.Remote.Addr())]; here || f.Remote.Addr().IsLoopback() {
			continue
		}
		if example == "" {
			example = fmt.Sprintf("TCP %s to %s, not MPTCP", f.Local, f.Remote)
		}
		add(f.Processes)
	}
	for _, l := range v.PlainListeners {
		if v.Focus == "" || plain(l.Local.Addr()).IsLoopback() {
			continue
		}
		if example == "" {
			example = fmt.Sprintf("TCP listener %s, not MPTCP", l.Local)
		}
		add(l.Processes)
	}
	if example != "" && list == nil {
		return "unknown (cannot see other users' processes)", example
	}
	return strings.Join(list, ", "), example
}

// idle is D11: nothing was sent yet, so that no further subflow may start.
func idle(v *view) []Finding {
	if len(v.makers) == 0 {
		return nil
	}
	var g group
	for _, c := range v.clients {
		if len(c.Subflows) == 0 || ready(c) || c.BytesSent > 0 || c.BytesReceived > 0 {
			continue
		}
		g.add("", c, func() Finding {
			return Finding{
				Rule: rule.NothingSent, Severity: Info, Confidence: track.Certain,
				Title: "no data yet: further subflows start after the first data",
				Evidence: []string{
					fmt.Sprintf(
						"connection %s to %s: not fully established, no bytes sent or received", c.Token, c.Remote,
					),
				},
				Fix: []string{"nothing to do: this is normal"},
				Excluded: excluding("the path manager begins when data was acknowledged, whatever else holds",
					append(rule.Joins(), rule.SubflowLimit)...),
			}
		})
	}
	return g.list
}

// lonelyServer is D08: connections were accepted, and nobody listens any more.
func lonelyServer(v *view) []Finding {
	if v.Listeners == nil {
		return nil
	}
	var g group
	for _, c := range v.servers {
		if listens(v.Listeners, c.Local.Addr(), c.Local.Port()) {
			continue
		}
		g.add(c.Local.String(), c, func() Finding {
			return Finding{
				Rule: rule.ListenerClosed, Severity: Info, Confidence: track.Certain,
				Title: fmt.Sprintf(
					"no program listens on port %d any more: peers cannot add subflows", c.Local.Port(),
				),
				Subject: Subject{Remote: c.Remote},
				Evidence: []string{
					fmt.Sprintf("connection %s was accepted on %s", c.Token, c.Local),
					fmt.Sprintf("no MPTCP listener on port %d", c.Local.Port()),
				},
				Fix: []string{"keep the listening socket open while connections exist (netcat: nc -l -k)"},
				Excluded: excluding("a SYN to a port without a listener is reset before the kernel looks at its token",
					rule.SubflowLimit, rule.LoadBalancer),
			}
		})
	}
	return g.list
}

// md5Option is D12: a socket option that MPTCP cannot have.
func md5Option(v *view) []Finding {
	var evidence []string
	for _, name := range [...]string{"MD5SigFallback", "MD5SigReset", "SimultConnectFallback"} {
		if n := v.moved(name); n > 0 {
			evidence = append(evidence, fmt.Sprintf("%s: %d in %s", name, n, v.MPTCP.Window))
		}
	}
	if evidence == nil {
		return nil
	}
	return []Finding{{
		Rule: rule.SocketOption, Severity: Warn, Confidence: track.Certain,
		Title:    "an application uses a feature that MPTCP does not support",
		Subject:  Subject{Netns: v.Netns},
		Evidence: evidence,
		Fix:      []string{"remove TCP_MD5SIG from the application, or let it use TCP"},
		Excluded: excluding("these counters count nothing else", rule.PeerWithoutMPTCP, rule.Blackhole,
			rule.ShortOfMemory, rule.OptionStripped),
	}}
}

// checksums is D51: one end alone asks for checksums.
func checksums(v *view) []Finding {
	if v.Sysctls.ChecksumEnabled == nil || *v.Sysctls.ChecksumEnabled {
		return nil
	}
	var g group
	for i := range v.Connections {
		c := &v.Connections[i]
		if !c.Checksum || c.Fallback {
			continue
		}
		g.add(c.Remote.Addr().String(), c, func() Finding {
			return Finding{
				Rule: rule.ChecksumsDiffer, Severity: Info, Confidence: track.Likely,
				Title:   "the peer requires checksums, this host does not",
				Subject: Subject{Remote: netip.AddrPortFrom(c.Remote.Addr(), c.Remote.Port())},
				Evidence: []string{
					"net.mptcp.checksum_enabled = 0", fmt.Sprintf("connection %s uses checksums", c.Token),
				},
				Fix: []string{"nothing to do: it works, and costs some processor time"},
			}
		})
	}
	return g.list
}
