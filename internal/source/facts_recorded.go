package source

import (
	"context"
	"strconv"
	"strings"
	"syscall"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/track"
)

// Facts returns what the recording knows of what doctor judges. The counters are
// compared with those of the snapshot before; the window of c does not count.
func (s *recorded) Facts(ctx context.Context, c *FactsConfig) (doctor.Facts, error) {
	if c == nil {
		c = &FactsConfig{}
	}
	f := doctor.Facts{Time: s.time, Focus: c.Focus, Network: s.network, Unseen: []doctor.Gap{
		{What: "plain TCP sockets", Why: "a recording holds those of MPTCP only"},
		{What: "programs that manage endpoints", Why: "not recorded"},
	}}
	snapshot, err := s.Snapshot(ctx)
	if err != nil {
		return f, err
	}
	if sysctls, err := counters.ParseSysctls(s.sysctls); err == nil && len(s.sysctls) > 0 {
		f.Sysctls = sysctls
	}
	endpoints, limits := s.pathManager()
	f.Endpoints, f.Limits = endpoints, &limits
	connections := track.Join(snapshot)
	for i := range connections {
		connections[i].Processes = s.processes[connections[i].Inode]
	}
	f.Connections = keep(connections, c.matches)
	accepting, err := s.Listeners(ctx)
	if err != nil {
		return f, err
	}
	f.Listeners = []doctor.Listener{}
	for i := range accepting {
		l := &accepting[i]
		f.Listeners = append(f.Listeners, doctor.Listener{Local: l.Local, Inode: l.Inode, Processes: s.processes[l.Inode]})
	}
	s.countFacts(&f)
	s.deviceFacts(&f)
	s.lookupFacts(&f)
	return f, ctx.Err()
}

// countFacts reads the counters, and what moved since the snapshot before.
func (s *recorded) countFacts(f *doctor.Facts) {
	for _, table := range []struct {
		name string
		to   *doctor.Counted
	}{{"MPTcpExt:", &f.MPTCP}, {"TcpExt:", &f.TCP}} {
		text, ok := s.file("net/netstat")
		if !ok {
			continue
		}
		now, err := counters.ParseTable(text, table.name)
		if err != nil {
			continue
		}
		table.to.Now = now
		earlier, ok := s.before.file("net/netstat")
		if !ok {
			continue
		}
		if before, err := counters.ParseTable(earlier, table.name); err == nil {
			table.to.Window = s.time.Sub(s.before.time)
			table.to.Moved = now.Since(before).Moved().Select(func(name string) bool { return !counters.IsGauge(name) })
		}
	}
}

// deviceFacts reads net.ipv4.conf of the devices.
func (s *recorded) deviceFacts(f *doctor.Facts) {
	f.IPv4 = map[string]counters.IPv4Conf{}
	names := []string{"all", "default"}
	for i := range f.Network.Links {
		names = append(names, f.Network.Links[i].Name)
	}
	for _, name := range names {
		var conf counters.IPv4Conf
		known := false
		for setting, value := range map[string]*int{
			"rp_filter": &conf.RPFilter, "arp_filter": &conf.ARPFilter, "arp_ignore": &conf.ARPIgnore, "arp_announce": &conf.ARPAnnounce,
		} {
			text, ok := s.file("sys/net/ipv4/conf/" + name + "/" + setting)
			if n, err := strconv.Atoi(strings.TrimSpace(text)); ok && err == nil {
				*value, known = n, true
			}
		}
		if known {
			f.IPv4[name] = conf
		}
	}
}

// lookupFacts returns those of the recorded answers that doctor wants.
func (s *recorded) lookupFacts(f *doctor.Facts) {
	answers := make(map[hostnet.LookupRequest]lookup, len(s.lookups))
	for _, l := range s.lookups {
		answers[l.Question] = l
	}
	for _, q := range f.LookupsWanted() {
		l, ok := answers[q]
		if !ok {
			continue
		}
		answer := doctor.Lookup{Request: q, Route: l.Route}
		if l.Errno != 0 {
			answer.Error = syscall.Errno(l.Errno).Error()
		}
		f.Lookups = append(f.Lookups, answer)
	}
}
