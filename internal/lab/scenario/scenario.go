package scenario

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab"
)

// Healthy is the rule of a scenario in which nothing is wrong: doctor must find
// neither failure nor warning, on the client as on the server.
const Healthy = "healthy"

// Port is the port of the scenarios' servers.
const Port = 12345

// Scenario is a network with traffic in which one thing is wrong, or nothing: what
// [mptcpctl/internal/lab/procedure.Start] brings about. It is data only.
type Scenario struct {
	Name     string // what `lab run` takes
	Summary  string // one line that says what is wrong
	Topology lab.Topology
	Traffic  Traffic
	Programs []Program  // processes that run on the hosts beside the traffic
	Faults   []Fault    // what is done to the network, in order
	Ready    []Symptom  // what must show before the faults of Established are applied
	Shows    []Symptom  // what must show in the end: the kernel's evidence
	Host     string     // where doctor is to look
	Look     Look       // how it is to look
	Rule     rule.ID    // what doctor must name there, or Healthy
	Needs    string     // counter without which a kernel tells nothing of it, "" for none
	Since    lab.Kernel // first Linux on which it is wrong; the zero value: any
}

// Program is a process that stands in for a program: it has its name, and waits.
type Program struct{ Host, Name string }

// Look is in which circumstances doctor looks.
type Look int

// The ways to look.
const (
	Plain    Look = iota
	Confined      // where a seccomp profile forbids MPTCP sockets
	OldTools      // with the ip command of another time in its path
	Stalled       // and stands still while more happens than its buffer holds
)

// Traffic says who talks to whom. The zero value is one MPTCP connection from
// client to server by the first path of the topology, which has carried data both
// ways and then rests.
type Traffic struct {
	Listen      netip.Addr    // where the server listens; the zero value: everywhere
	To          netip.Addr    // where the client connects to; the zero value: as the first path says
	Client      string        // host that connects, "" for ClientHost
	Server      string        // host that listens, "" for ServerHost
	PlainServer bool          // the server's program opens a TCP socket
	PlainClient bool          // the client's program opens a TCP socket
	Mapped      bool          // the client reaches an IPv4 address by an IPv6 socket
	FastOpen    bool          // the client's first data is in its SYN
	Mark        uint32        // SO_MARK of the client's sockets, 0 for none
	Self        bool          // the client connects to its own port, on loopback
	Connections int           // that are held open; 0: one
	Guest       string        // another host that makes a connection as well, "" for none
	Unread      bool          // the server's program reads nothing
	Overrun     bool          // the server's program accepts one connection and no more
	Beside      int           // plain TCP connections beside them
	Bytes       int           // sent and echoed on each connection; 0: 1000
	Quiet       bool          // nothing is sent
	Stream      bool          // the client goes on sending, as long as a connection stays
	Repeat      bool          // further connections are made and ended all the time
	Refused     syscall.Errno // what connecting must fail with, 0 for none
}

// Moment is when a fault is applied.
type Moment int

// The moments.
const (
	BeforeTraffic Moment = iota
	Established          // once the connections are there and what Ready asks for shows
)

// Fault is one thing done to a host. One of the fields below Host is set.
type Fault struct {
	When Moment
	Host string

	Firewall      []lab.FirewallRule // replaces the host's; Text says what it does
	LinkDown      string             // device
	RemoveLink    string             // device
	RemoveAddress netip.Prefix       // of the device that Device names
	FillEndpoints bool               // signal endpoints until the kernel takes no more, on addresses of Device
	CloseListener bool               // the server stops listening and keeps its connections
	Command       []string           // arguments of the tool

	Device string
	Text   string // for a firewall: in words
}

// String returns the fault as a user would type or say it.
func (f Fault) String() string {
	switch {
	case f.LinkDown != "":
		return "ip link set " + f.LinkDown + " down"
	case f.RemoveLink != "":
		return "ip link delete " + f.RemoveLink
	case f.RemoveAddress.IsValid():
		return fmt.Sprintf("ip address delete %s dev %s", f.RemoveAddress, f.Device)
	case f.FillEndpoints:
		return "mptcpctl endpoint add ADDRESS signal, until the table is full"
	case f.CloseListener:
		return "the server closes its listening socket"
	case len(f.Command) > 0:
		return "mptcpctl " + strings.Join(f.Command, " ")
	}
	return "firewall: " + f.Text
}

// SymptomKind is what kind of evidence a symptom is.
type SymptomKind int

// The kinds of symptoms.
const (
	CounterAt  SymptomKind = iota // Counter has reached Count
	Subflows                      // each connection has Count additional subflows
	FellBack                      // each connection speaks TCP
	JoinHangs                     // a SYN from Address was sent again and has no answer
	PathSilent                    // a subflow from Address was sent again Count times and has no answer
)

// Symptom is something that the kernel of a host shows.
type Symptom struct {
	Kind    SymptomKind
	Host    string
	Counter string // of MPTcpExt or TcpExt; one that this kernel lacks is not waited for
	Count   uint64
	Address netip.Addr
}

// String returns the symptom in words.
func (s Symptom) String() string {
	switch s.Kind {
	case Subflows:
		return fmt.Sprintf("%s: %d additional subflows", s.Host, s.Count)
	case FellBack:
		return s.Host + ": fallback to TCP"
	case JoinHangs:
		return fmt.Sprintf("%s: SYN from %s sent again, no answer", s.Host, s.Address)
	case PathSilent:
		return fmt.Sprintf("%s: data from %s sent again %d times, no answer", s.Host, s.Address, s.Count)
	}
	return fmt.Sprintf("%s: %s at least %d", s.Host, s.Counter, s.Count)
}

// All returns the scenarios in the order of `lab list`, the healthy ones
// first. The caller owns them.
func All() []Scenario {
	var all []Scenario
	for _, family := range [][]Scenario{
		healthyScenarios(), hostScenarios(), namespaceScenarios(),
		applicationScenarios(), connectionScenarios(), limitScenarios(),
		endpointScenarios(), announcementScenarios(), routeScenarios(), boundRouteScenarios(),
		peerScenarios(), joinScenarios(), firewallScenarios(), pathScenarios(),
		dataScenarios(), lossScenarios(), addressLossScenarios(),
	} {
		all = append(all, family...)
	}
	for i := range all {
		all[i].Topology.Name = all[i].Name
	}
	return all
}

// Find returns the scenario of that name.
func Find(name string) (Scenario, bool) {
	for _, s := range All() {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

func counts(host, counter string, n uint64) Symptom {
	return Symptom{Kind: CounterAt, Host: host, Counter: counter, Count: n}
}

func subflows(host string, n uint64) Symptom {
	return Symptom{Kind: Subflows, Host: host, Count: n}
}

func fellBack(host string) Symptom { return Symptom{Kind: FellBack, Host: host} }

func joinHangs(address string) Symptom {
	return Symptom{Kind: JoinHangs, Host: lab.ClientHost, Address: netip.MustParseAddr(address)}
}

func pathSilent(address string) Symptom {
	return Symptom{Kind: PathSilent, Host: lab.ClientHost, Address: netip.MustParseAddr(address), Count: 3}
}

// bothJoined is that every connection has so many additional subflows, on both
// hosts.
func bothJoined(n uint64) []Symptom {
	return []Symptom{subflows(lab.ClientHost, n), subflows(lab.ServerHost, n)}
}
