package present_test

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
)

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// busy is a connection with a subflow in each state that has a colour of its own, and
// with everything that is said only sometimes.
func busy(name string) mptcp.Connection {
	return mptcp.Connection{
		Token: 0x1a2b, Netns: name, State: mptcp.StateEstablished, Side: mptcp.SideClient,
		Local: addrPort("10.0.1.2:40000"), Remote: addrPort("10.0.1.1:443"), Inode: 77, UID: 1000, Cookie: 0x2001,
		Processes: []mptcp.Process{{PID: 12, Name: name}, {PID: 13, Name: "curl"}},
		BytesSent: 1_234_567, BytesReceived: 999, BytesRetransmitted: 1500, Checksum: true,
		Limits: mptcp.ConnectionLimits{Subflows: 2, SubflowsMax: 8, AddAddrAccepted: 1, AddAddrAcceptedMax: 4,
			AddAddrSignal: 0, AddAddrSignalMax: 2, LocalAddrUsed: 1, LocalAddrMax: 3},
		Subflows: []mptcp.Subflow{
			{
				Local: addrPort(
					"10.0.1.2:40000",
				), Remote: addrPort("10.0.1.1:443"), Initial: true, State: mptcp.SubflowEstablished,
				TCP:              mptcp.StateEstablished,
				Device:           name,
				FullyEstablished: true,
				RTTMicros:        12_500,
				RTTVarMicros:     300,
				Cwnd:             10,
				BytesSent:        1_000_000, BytesReceived: 999, Share: 0.806, LastAckMS: 5, Cookie: 0x2002,
			},
			{
				Local: addrPort("[2001:db8::2]:40001"), Remote: addrPort("[2001:db8::1]:443"), LocalID: 2, RemoteID: 1,
				State:              mptcp.SubflowStale,
				TCP:                mptcp.StateEstablished,
				BackupLocal:        true,
				BackupRemote:       true,
				Bound:              true,
				Device:             "wlan0",
				TokenRemote:        0xff,
				FullyEstablished:   true,
				BytesRetransmitted: 2000,
				Backoff:            3,
				Unacked:            7,
				Share:              0.194,
			},
			{
				Local: addrPort("10.0.3.2:40002"), Remote: addrPort("10.0.1.1:443"), LocalID: 3,
				State: mptcp.SubflowPending, TCP: mptcp.StateSynSent, BackupLocal: true,
			},
			{
				Local: addrPort("10.0.4.2:40003"), Remote: addrPort("10.0.1.1:443"), LocalID: 4,
				State: mptcp.SubflowClosed, TCP: mptcp.StateClosed, BackupRemote: true,
			},
		},
	}
}

// plain is a connection that fell back and belongs to no process.
func plain(state mptcp.SocketState) mptcp.Connection {
	return mptcp.Connection{
		Token: 1, State: state, Side: mptcp.SideServer, Local: addrPort("10.0.1.1:443"), Remote: addrPort("10.0.1.2:5"),
		Fallback: true, FallbackCause: "the peer does not speak MPTCP",
	}
}

// begun is a connection of which no data was acknowledged yet.
func begun() mptcp.Connection {
	c := plain(mptcp.StateEstablished)
	c.Fallback, c.FallbackCause, c.Inode = false, "", 5
	c.Subflows = []mptcp.Subflow{{
		Local: c.Local, Remote: c.Remote, Initial: true, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished,
	}}
	return c
}

func connections(text present.ConnectionText, list ...mptcp.Connection) func(io.Writer) error {
	return func(w io.Writer) error {
		var b []byte
		for i := range list {
			b = text.Append(b, &list[i])
		}
		_, err := w.Write(b)
		return err
	}
}

// paths is a host with a path of each kind. The name is foreign.
func paths(name string) *present.Paths {
	link := hostnet.Link{Name: name, Up: true, Carrier: true, OperState: "up"}
	return &present.Paths{
		Netns: name,
		Destinations: []hostnet.Destination{
			{
				Family: mptcp.FamilyINET, Address: addr("192.0.2.1"), Source: addr("10.0.1.2"), Device: name,
				Gateway: addr("10.0.1.254"),
			},
			{Family: mptcp.FamilyINET6, Assumed: true, Problem: "no route: " + name},
		},
		Paths: []present.Path{
			{Path: hostnet.Path{
				Address: addr("10.0.1.2"), Family: mptcp.FamilyINET, Device: name, Link: link,
				Initial: true, Usable: true, Metric: 100,
			}},
			{
				Path: hostnet.Path{
					Address: addr(
						"10.0.2.2",
					), Family: mptcp.FamilyINET, Device: "wlan0", Link: link, Usable: true, Metric: 600,
					Gateway: addr("10.0.2.254"),
				},
				Endpoint: &present.PathEndpoint{
					ID:    3,
					Flags: []string{"subflow", "backup"},
				}, Notes: []string{"leaves by " + name},
			},
			{
				Path: hostnet.Path{
					Address: addr("10.0.3.2"),
					Family:  mptcp.FamilyINET,
					Device:  "wwan0",
					Link:    link,
					Usable:  true,
				},
			},
			{Path: hostnet.Path{
				Address: addr("127.0.0.1"), Family: mptcp.FamilyINET, Device: "lo", Problem: hostnet.ProblemLoopback,
			}},
			{Path: hostnet.Path{
				Address: addr("2001:db8::2"), Family: mptcp.FamilyINET6, Device: "wlan0", Problem: "no gateway",
			}},
		},
		Limits:   mptcp.Limits{Subflows: 2, AddAddrAccepted: 1},
		Commands: []string{"mptcpctl endpoint add 10.0.3.2 dev wwan0 subflow # " + name},
		Notes:    []string{"MPTCP is off in " + name},
	}
}

func check(name string, id mptcp.AddressID, works bool) *present.EndpointCheck {
	return &present.EndpointCheck{
		Endpoint: mptcp.Endpoint{ID: id, Address: addr("10.0.2.2"), Flags: mptcp.FlagSubflow | mptcp.FlagBackup},
		Device:   name,
		Peers:    []netip.Addr{addr("192.0.2.1")},
		Works:    works,
		Facts:    []string{"the route leads over " + name, "the link is up"},
		Problems: []doctor.Problem{{
			Rule: "D13", Text: "the address is on no link of " + name, Seen: []string{name},
			Fix: []string{"ip addr add " + name},
		}},
		Command: "mptcpctl endpoint add 10.0.2.2 dev " + name,
	}
}

func probe(name, verdict string) *present.Probe {
	return &present.Probe{
		Host: name, Address: addrPort("192.0.2.1:443"), Verdict: verdict, Reason: "seen at " + name, Rule: "D05",
		Attempts: []present.ProbeAttempt{
			{MPTCP: true, Spoken: "mptcp", Local: "10.0.1.2", Device: name, Took: 1234567 * time.Nanosecond},
			{MPTCP: true, Spoken: "fallback", From: addr("10.0.2.2"), Took: 20 * time.Millisecond},
			{Error: "connection refused", Took: 5 * time.Microsecond},
		},
		Joins: []present.ProbeJoin{
			{Address: addr("10.0.2.2"), Device: name, State: "established"},
			{Address: addr("2001:db8::2"), State: "pending", Reason: "no answer by " + name, Rule: "D35"},
		},
		Notes: []string{"2 paths were not tried", name},
	}
}

// someCounters are counters of trouble and of none, and one that nobody knows yet.
func someCounters(t *testing.T) counters.Values {
	t.Helper()
	const header = "MPTcpExt: MPCapableSYNRX MPCapableFallbackSYNACK MPCurrEstab MPJoinSynRx Newest"
	values, err := counters.ParseTable(header+"\nMPTcpExt: 12 3 2 0 7\n", "MPTcpExt:")
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// texts are all that is rendered for the terminal of things that have a name from
// outside: of a namespace, a device, a process, a host.
func texts(t *testing.T, name string) map[string]func(io.Writer) error {
	t.Helper()
	doctorText := &present.DoctorText{Width: 70}
	listeners := []present.Listener{
		{
			Local: addrPort("0.0.0.0:80"), Waiting: 1, Backlog: 128, Inode: 9,
			Processes: []mptcp.Process{{PID: 3, Name: name}}, Netns: name,
		},
		{Local: addrPort("[::]:443"), Backlog: 4096},
	}
	rules := []rule.Rule{
		{
			ID: "D05", Title: "the peer does not speak MPTCP", Meaning: "The peer answered without MPTCP.",
			Signs: "A counter moves.", Remedy: "Ask the peer.", Needs: "counters", Decided: true,
		},
		{ID: "D99", Title: "nobody knows", Meaning: "It takes both ends."},
	}
	values := someCounters(t)
	many := []mptcp.Connection{busy(name), begun(), plain(mptcp.StateEstablished), plain(mptcp.StateFinWait1)}
	shownPaths := func(p *present.Paths, all bool) func(io.Writer) error {
		return func(w io.Writer) error { return present.WritePaths(w, p, present.Palette{}, all) }
	}
	return map[string]func(io.Writer) error{
		"connections":          connections(present.ConnectionText{}, many...),
		"connections-details":  connections(present.ConnectionText{Details: true, ASCII: true}, busy(name)),
		"connections-one-line": connections(present.ConnectionText{OneLine: true}, busy(name)),
		"listeners":            func(w io.Writer) error { return present.Listeners(w, listeners, present.Palette{}) },
		"paths":                shownPaths(paths(name), false),
		"paths-all":            shownPaths(paths(name), true),
		"paths-none":           shownPaths(&present.Paths{}, false),
		"check-works":          func(w io.Writer) error { return doctorText.EndpointCheck(w, check(name, 0, true)) },
		"check-works-not":      func(w io.Writer) error { return doctorText.EndpointCheck(w, check(name, 0, false)) },
		"check-there":          func(w io.Writer) error { return doctorText.EndpointCheck(w, check(name, 3, true)) },
		"probe-mptcp":          func(w io.Writer) error { return doctorText.Probe(w, probe(name, "mptcp")) },
		"probe-fallback":       func(w io.Writer) error { return doctorText.Probe(w, probe(name, "fallback")) },
		"probe-failed":         func(w io.Writer) error { return doctorText.Probe(w, probe(name, "failed")) },
		"probe-unknown":        func(w io.Writer) error { return doctorText.Probe(w, probe(name, "unknown")) },
		"rule":                 func(w io.Writer) error { return doctorText.DoctorRule(w, &rules[0]) },
		"rule-undecided":       func(w io.Writer) error { return doctorText.DoctorRule(w, &rules[1]) },
		"rules":                func(w io.Writer) error { return doctorText.DoctorRules(w, rules) },
		"counters": func(w io.Writer) error {
			return (&present.CounterText{Netns: name, Details: true}).Write(w, values)
		},
		"counters-all": func(w io.Writer) error { return (&present.CounterText{All: true}).Write(w, values) },
		"counters-moved": func(w io.Writer) error {
			return (&present.CounterText{Sign: true}).Write(w, values)
		},
	}
}

// TestTexts compares each text with testdata/text. UPDATE=1 writes it anew.
func TestTexts(t *testing.T) {
	for name, write := range texts(t, "eth0") {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata/text", name+".txt")
			if os.Getenv("UPDATE") == "1" {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// TestTextsAreSafe renders names that attack a terminal: nothing that it could act on
// comes out, and no line more than with a harmless name.
func TestTextsAreSafe(t *testing.T) {
	for _, name := range []string{"\x1b]0;owned\a", "a\r\nb", "\u202ereversed", "\x9b2J", "\xff", "tab\there"} {
		harmless := texts(t, "eth0")
		for text, write := range texts(t, name) {
			var b, usual bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			if err := harmless[text](&usual); err != nil {
				t.Fatal(err)
			}
			for _, r := range b.String() {
				if r != '\n' && !unicode.IsPrint(r) || r == unicode.ReplacementChar {
					t.Errorf("%s with the name %q has %q:\n%s", text, name, r, b.String())
					break
				}
			}
			if strings.Contains(b.String(), "\nb") {
				t.Errorf("%s with the name %q has a line of its making:\n%s", text, name, b.String())
			}
		}
	}
}

// TestWritersFail: what cannot be written is an error of each text.
func TestWritersFail(t *testing.T) {
	for name, write := range texts(t, "eth0") {
		if err := write(closed{}); err != io.ErrClosedPipe {
			t.Errorf("%s: %v, want %v", name, err, io.ErrClosedPipe)
		}
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
