package force

import (
	"errors"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	start := time.Unix(1000, 0)
	local, remote := netip.MustParseAddrPort("10.0.0.1:4242"), netip.MustParseAddrPort("10.0.0.2:80")
	established := Used{State: mptcp.StateEstablished, Subflows: 2, Local: local, Remote: remote}
	socket := func(cookie uint64, why string, looks ...Used) *observed {
		o := &observed{Socket: Socket{Cookie: cookie, PID: 7, Name: "a\x1bb", Time: start, Why: why}}
		for i, u := range looks {
			o.look(u, u != Used{}, start.Add(time.Duration(i+1)*time.Second))
		}
		return o
	}
	one := established
	one.Subflows = 1
	none := established
	none.Subflows, none.State = 0, mptcp.StateFinWait2
	fallback := one
	fallback.Fallback = true
	tests := []struct {
		name string
		s    *observed
		want string
	}{
		{
			"two subflows",
			socket(1, "", established),
			"10.0.0.1:4242 -> 10.0.0.2:80 MPTCP, 2 subflows (last seen 1.00 s after it was opened)",
		},
		{
			"one at the end",
			socket(1, "", one, established, one),
			"10.0.0.1:4242 -> 10.0.0.2:80 MPTCP, 1 subflow at the end, 2 at most (last seen 3.00 s after it was " +
				"opened)",
		},
		{
			"closing",
			socket(1, "", established, none),
			"10.0.0.1:4242 -> 10.0.0.2:80 MPTCP, 2 subflows (last seen 2.00 s after it was opened)",
		},
		{
			"gone",
			socket(1, "", established, Used{}, Used{}),
			"10.0.0.1:4242 -> 10.0.0.2:80 MPTCP, 2 subflows (last seen 1.00 s after it was opened)",
		},
		{
			"closed",
			socket(1, "", established, Used{State: mptcp.StateClosed}),
			"10.0.0.1:4242 -> 10.0.0.2:80 MPTCP, 2 subflows (last seen 1.00 s after it was opened)",
		},
		{
			"fallback",
			socket(1, "", fallback),
			"10.0.0.1:4242 -> 10.0.0.2:80 fell back to TCP (last seen 1.00 s after it was opened)",
		},
		{
			"listener",
			socket(1, "", Used{State: mptcp.StateListen, Local: local}),
			"listening with MPTCP on 10.0.0.1:4242 (accepted connections are not followed)",
		},
		{"never seen", socket(1, ""), "MPTCP socket, never seen connected: not used, or for less than 20ms at a time"},
		{"unconnected", socket(1, "", Used{State: mptcp.StateClosed}), "MPTCP socket, not connected when last seen"},
		{"tcp", socket(0, "MPTCP is off"), "TCP: MPTCP is off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := report{Sockets: []*observed{tt.s}, Served: true, Looked: true}
			_, got, _ := strings.Cut(strings.TrimSuffix(r.text("run"), "\n"), "\n")
			if diff := cmp.Diff("run:   a?b[7] "+tt.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
	ends := []struct {
		r    report
		want string
	}{
		{report{Served: true}, "run: the program asked for no TCP socket\n"},
		{
			report{Silent: io.EOF},
			"run: nothing to report here: another supervisor served this program, or it did not start\n",
		},
		{
			report{Served: true, Alive: true, Lost: 2, Silent: errors.New("why")},
			"run: the supervisor is gone (why): the report may not be complete\nrun: 2 TCP sockets asked for, 0 " +
				"made with MPTCP\nrun:   and 2 more that are not listed\n" +
				"run: processes that it started continue with MPTCP; their later sockets are not in this report\n",
		},
	}
	for _, tt := range ends {
		if diff := cmp.Diff(tt.want, tt.r.text("run")); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
	}
}

// TestWatched stops looking at what is over, and not at what may still come.
func TestWatched(t *testing.T) {
	o := &observed{Socket: Socket{Cookie: 1}}
	for range 10 {
		o.look(Used{}, false, time.Now())
	}
	if !o.watched() {
		t.Error("a socket that may still connect is not watched")
	}
	o.look(Used{State: mptcp.StateEstablished, Subflows: 1}, true, time.Now())
	for range missedAtMost {
		if !o.watched() {
			t.Error("given up too early")
		}
		o.look(Used{}, false, time.Now())
	}
	if o.watched() {
		t.Error("a socket that is over is watched")
	}
	if (&observed{}).watched() {
		t.Error("a TCP socket is watched")
	}
}

// TestNews keeps no more than it may, and loses none unsaid.
func TestNews(t *testing.T) {
	var n news
	for i := range maxPending + 5 {
		n.socket(
			Socket{
				Cookie: uint64(i + 1),
				Name:   strings.Repeat("\x01", 15),
				Why:    strings.Repeat("w", 80),
				Time:   time.Now(),
			},
		)
	}
	n.notice("off")
	n.notice("off")
	next, lost, notices := uint64(1), 0, 0
	for more := true; more; {
		var a answer
		n.take(&a)
		b, err := encodeAnswer(&a)
		if err != nil || len(b) > maxAnswer {
			t.Fatalf("answer of %d bytes, %v", len(b), err)
		}
		got, err := decodeAnswer(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got.Sockets {
			if s.Cookie != next {
				t.Fatalf("socket %d, want %d", s.Cookie, next)
			}
			next++
		}
		lost, notices, more = lost+got.Lost, notices+len(got.Notices), got.More
	}
	if next != maxPending+1 || lost != 5 || notices != 1 {
		t.Errorf("%d sockets, %d lost, %d notices; want %d, 5, 1", next-1, lost, notices, maxPending)
	}
}

func FuzzAnswer(f *testing.F) {
	b, err := encodeAnswer(
		&answer{Seq: 3, Sockets: []Socket{{Cookie: 1, Name: "a", Time: time.Unix(1, 0).UTC()}}, Served: true},
	)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"sockets":[{"name":"\u0000"}],"more":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if (a == nil) == (err == nil) {
			t.Fatalf("%v, %v: value and error", a, err)
		}
		if err != nil {
			return
		}
		first, err := encodeAnswer(a)
		if err != nil {
			return // a year beyond 9999
		}
		again, err := decodeAnswer(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := encodeAnswer(again)
		if err != nil || string(first) != string(second) {
			t.Fatalf("%s\n%s\n%v", first, second, err)
		}
	})
}

func FuzzCredentials(f *testing.F) {
	f.Add([]byte("Name:\ta\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"))
	f.Add([]byte("Uid:\t1\nGid:"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if uid, gid, err := parseCredentials(b); err == nil {
			text := strings.Join([]string{"Uid: 0 0 0", strconv.Itoa(uid), "\nGid: 0 0 0", strconv.Itoa(gid)}, " ")
			u, g, err := parseCredentials([]byte(text))
			if err != nil || u != uid || g != gid {
				t.Fatalf("%d %d, again %d %d %v", uid, gid, u, g, err)
			}
		}
	})
}
