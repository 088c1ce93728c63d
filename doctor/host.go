package doctor

import (
	"fmt"
	"slices"
	"syscall"

	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// noMPTCP is D01: the kernel has none.
func noMPTCP(v *view) []Finding {
	if !v.Kernel.SocketTried ||
		v.Kernel.SocketError != syscall.EPROTONOSUPPORT && v.Kernel.SocketError != syscall.EINVAL {
		return nil
	}
	return []Finding{{
		Rule: rule.KernelWithoutMPTCP, Severity: Fail, Confidence: track.Certain,
		Title:    "this kernel has no MPTCP",
		host:     true,
		Evidence: []string{socketEvidence(v), "kernel " + v.Kernel.Release},
		Fix:      []string{"use Linux 5.6 or later, built with CONFIG_MPTCP"},
		Excluded: excluding("a setting would give ENOPROTOOPT, a policy EACCES or EPERM", rule.SwitchedOff,
			rule.PolicyForbids),
	}}
}

func socketEvidence(v *view) string {
	return "socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP): " + mptcp.Errno(v.Kernel.SocketError).Name()
}

// disabled is D02: net.mptcp.enabled is 0.
func disabled(v *view) []Finding {
	off := v.Sysctls.Enabled != nil && !*v.Sysctls.Enabled
	refused := v.Kernel.SocketTried && v.Kernel.SocketError == syscall.ENOPROTOOPT
	if !off && !refused {
		return nil
	}
	var evidence []string
	if off {
		evidence = append(evidence, "net.mptcp.enabled = 0")
	}
	if refused {
		evidence = append(evidence, socketEvidence(v))
	}
	return []Finding{{
		Rule: rule.SwitchedOff, Severity: Fail, Confidence: track.Certain,
		Title:    "MPTCP is disabled",
		Subject:  Subject{Netns: v.Netns},
		Evidence: evidence,
		Fix: []string{
			"sysctl -w net.mptcp.enabled=1", "echo net.mptcp.enabled=1 > " + sysctlFile,
		},
		Excluded: excluding("a kernel without MPTCP has no such setting and gives another error, as a policy does",
			rule.KernelWithoutMPTCP, rule.PolicyForbids),
	}}
}

// oldKernel is D03: the kernel lacks what the tools here build on.
func oldKernel(v *view) []Finding {
	if v.Kernel.Events == nil || *v.Kernel.Events || v.broken() {
		return nil
	}
	return []Finding{{
		Rule: rule.KernelTooOld, Severity: Warn, Confidence: track.Certain,
		Title:    "this kernel has no MPTCP events",
		host:     true,
		Evidence: []string{"kernel " + v.Kernel.Release, "the netlink family mptcp_pm has no group mptcp_pm_events"},
		Fix:      []string{"use Linux 5.12 or later to follow connections live; listing them works"},
		Excluded: excluding("the kernel lists all groups of the family", rule.EventsLost, rule.KernelWithoutMPTCP),
	}}
}

// broken reports whether no MPTCP socket can be made here at all.
func (v *view) broken() bool {
	return v.Kernel.SocketTried && v.Kernel.SocketError != 0
}

// forbidden is D04: a policy refuses MPTCP sockets.
func forbidden(v *view) []Finding {
	if !v.Kernel.SocketTried || v.Kernel.SocketError != syscall.EACCES && v.Kernel.SocketError != syscall.EPERM {
		return nil
	}
	return []Finding{{
		Rule: rule.PolicyForbids, Severity: Fail, Confidence: track.Certain,
		Title:   "a security policy forbids MPTCP sockets",
		Subject: Subject{Netns: v.Netns},
		Evidence: []string{
			socketEvidence(v),
			"a kernel without MPTCP would return EPROTONOSUPPORT, one with MPTCP disabled ENOPROTOOPT",
		},
		Fix: []string{
			"ausearch -m avc -ts recent   (SELinux: lists what was denied)",
			"in a container: let the seccomp profile allow socket() with protocol 262",
		},
		Excluded: excluding("a kernel without MPTCP would return EPROTONOSUPPORT, one with MPTCP disabled ENOPROTOOPT",
			rule.KernelWithoutMPTCP, rule.SwitchedOff),
	}}
}

// noDaemon is D13: a userspace path manager is selected, and nobody plays it.
func noDaemon(v *view) []Finding {
	if !v.userspace() {
		return nil
	}
	f := Finding{
		Rule: rule.NoDaemon, Severity: Fail, Confidence: track.Certain,
		Title:    "the userspace path manager is selected, but no daemon runs",
		Subject:  Subject{Netns: v.Netns},
		Evidence: []string{"net.mptcp.path_manager = userspace (pm_type = 1)"},
		Fix: []string{
			"sysctl -w net.mptcp.path_manager=kernel   (or net.mptcp.pm_type=0; for new connections)",
			"systemctl start mptcp   (or this, to keep the userspace path manager)",
		},
	}
	for _, p := range slices.Concat(v.Managers, v.MaybeManagers) {
		if p.Name == "mptcpd" {
			return nil
		}
	}
	switch {
	case v.Subscribers == nil:
		f.Confidence = track.Likely
		f.Evidence = append(f.Evidence, "no mptcpd process was found")
	case *v.Subscribers > 0:
		return nil
	default:
		f.Evidence = append(f.Evidence, "no program listens to mptcp_pm_events")
		f.Excluded = excluding("under a userspace path manager the kernel heeds neither endpoints nor limits",
			rule.SubflowLimit, rule.AnnouncementsNotAccepted, rule.TwoManagers)
	}
	if n := len(v.Endpoints); n > 0 {
		f.Evidence = append(f.Evidence, fmt.Sprintf("%s configured, but ignored", count(n, "endpoint")))
	}
	return []Finding{f}
}

// twoManagers is D26: two programs change the endpoints.
func twoManagers(v *view) []Finding {
	var network, daemon *mptcp.Process
	for i := range v.Managers {
		switch p := &v.Managers[i]; p.Name {
		case "NetworkManager":
			network = p
		case "mptcpd":
			daemon = p
		}
	}
	if network == nil || daemon == nil || len(v.Endpoints) == 0 || v.userspace() {
		return nil
	}
	return []Finding{{
		Rule: rule.TwoManagers, Severity: Warn, Confidence: track.Likely,
		Title:   "NetworkManager and mptcpd both manage endpoints",
		Subject: Subject{Netns: v.Netns},
		Evidence: []string{
			fmt.Sprintf("NetworkManager (pid %d) and mptcpd (pid %d) run", network.PID, daemon.PID),
			count(len(v.Endpoints), "endpoint") + " configured",
		},
		Fix: []string{
			"systemctl disable --now mptcp",
			"or have NetworkManager leave MPTCP alone: connection.mptcp-flags disabled in each of its connections",
		},
	}}
}

// memory is D46: the kernel is short of tokens or memory.
func memory(v *view) []Finding {
	var evidence []string
	severity := Info
	for _, name := range [...]string{"MPFallbackTokenInit", "BacklogDrop", "RcvPruned"} {
		if n := v.moved(name); n > 0 {
			evidence = append(evidence, fmt.Sprintf("%s: %d in %s", name, n, v.MPTCP.Window))
			if name != "RcvPruned" {
				severity = Warn
			}
		}
	}
	// TCP's own counters tell of all TCP here: they are about MPTCP where there is
	// any, and a receiver that is slow for a moment moves some of them.
	if len(v.Connections) > 0 {
		for _, name := range [...]string{"RcvPruned", "TCPRcvQDrop", "TCPBacklogDrop", "TCPAbortOnMemory"} {
			if n, _ := v.TCP.Moved.Get(name); n > 0 {
				evidence = append(evidence, fmt.Sprintf("TCP's %s: %d in %s", name, n, v.TCP.Window))
			}
		}
	}
	if evidence == nil {
		return nil
	}
	return []Finding{{
		Rule: rule.ShortOfMemory, Severity: severity, Confidence: track.Likely,
		Title:    "MPTCP is short of memory",
		Subject:  Subject{Netns: v.Netns},
		Evidence: evidence,
		Fix:      []string{"sysctl net.ipv4.tcp_rmem net.ipv4.tcp_mem   (raise the value that is too small)"},
	}}
}

// count returns the number with its noun in the right form.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
