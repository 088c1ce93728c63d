package recording

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// Facts returns what the recording knows of what doctor judges. Counters and events
// are those of c.Window before the snapshot, or from the snapshot before that time
// on; without a window they are those since the recording began.
func (s *recorded) Facts(ctx context.Context, c *gather.Config) (doctor.Facts, error) {
	if c == nil {
		c = &gather.Config{}
	}
	f := s.hostFacts()
	f.Time, f.Netns, f.Enter, f.Focus, f.Network = s.time, s.netns, s.Enter(), c.Focus, s.network
	snapshot, err := s.Snapshot(ctx)
	if err != nil {
		return f, err
	}
	if sysctls, ok := s.settings(); ok {
		f.Sysctls = sysctls
	}
	endpoints, limits := s.pathManager()
	f.Endpoints, f.Limits = append([]mptcp.Endpoint{}, endpoints...), &limits
	sockets := gather.Sockets{Connections: track.Join(snapshot)}
	if sockets.Listeners, err = s.Listeners(ctx); err != nil {
		return f, err
	}
	s.takeTCP(&sockets.TCP)
	sockets.Bind()
	sockets.Hold(s.processes)
	base := s.base(c.Window)
	s.countFacts(&f, base)
	s.story(&f, sockets.Connections)
	sockets.Tell(&f, c)
	f.PlainFlows, f.PlainListeners = nil, nil // not recorded
	s.eventFacts(&f, base)
	s.deviceFacts(&f)
	f.Lookups = gather.Lookups(&f, s.ask())
	return f, ctx.Err()
}

// hostFacts returns what was recorded of the host, with what a recording leaves out.
func (s *recorded) hostFacts() doctor.Facts {
	var f doctor.Facts
	gaps := []doctor.Gap{{What: "plain TCP sockets", Why: "a recording contains only MPTCP sockets"}}
	if s.host != nil {
		f = *s.host
	} else {
		f.Kernel.Release = s.recording.kernel
		gaps = append(gaps, doctor.Gap{What: "programs that manage endpoints", Why: "not recorded"})
	}
	if !s.recording.listened {
		gaps = append(gaps, doctor.Gap{What: "events", Why: "the recording was made without CAP_NET_ADMIN"})
	}
	for _, gap := range f.Unseen {
		if !slices.Contains(gaps, gap) {
			gaps = append(gaps, gap)
		}
	}
	f.Unseen = gaps
	return f
}

// takeTCP takes the TCP sockets that are no subflow of a connection: those of MPTCP
// alone are recorded.
func (s *recorded) takeTCP(tcp *gather.TCPSockets) {
	var row sockdiag.Subflow
	for _, payload := range s.subflows {
		if sockdiag.DecodeSubflow(payload, &row) == nil {
			tcp.Take(&row)
		}
	}
}

// base returns the snapshot that counters are compared with: the last one that is at
// least so long before this one, or the first one. It returns nil where there is none
// before.
func (s *recorded) base(window time.Duration) *recorded {
	base := s.before
	for base != nil && base.before != nil && (window <= 0 || s.time.Sub(base.time) < window) {
		base = base.before
	}
	return base
}

// countFacts reads the counters, and what moved since the base.
func (s *recorded) countFacts(f *doctor.Facts, base *recorded) {
	for _, table := range []struct {
		name string
		to   *doctor.Counted
	}{{tableMPTCP, &f.MPTCP}, {tableTCP, &f.TCP}} {
		now, ok := s.table(table.name)
		if !ok {
			continue
		}
		table.to.Now = now
		if before, ok := base.table(table.name); ok {
			gather.Count(table.to, now, before, s.time.Sub(base.time))
		}
	}
}

// The tables of net/netstat.
const (
	tableMPTCP = "MPTcpExt:"
	tableTCP   = "TcpExt:"
)

// table reads a table of counters.
func (s *recorded) table(name string) (counters.Values, bool) {
	text, ok := s.file("net/netstat")
	if !ok {
		return counters.Values{}, false
	}
	values, err := counters.ParseTable(text, name)
	return values, err == nil
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
			"rp_filter":    &conf.RPFilter,
			"arp_filter":   &conf.ARPFilter,
			"arp_ignore":   &conf.ARPIgnore,
			"arp_announce": &conf.ARPAnnounce,
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

// ask returns what answers questions for routes as the kernel answered them then.
func (s *recorded) ask() func(hostnet.LookupRequest) (hostnet.Route, error) {
	answers := s.routes()
	return func(q hostnet.LookupRequest) (hostnet.Route, error) {
		switch l, ok := answers[q]; {
		case !ok:
			return hostnet.Route{}, gather.ErrUnknown
		case l.Errno != 0:
			return l.Route, syscall.Errno(l.Errno)
		default:
			return l.Route, nil
		}
	}
}
