package look

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/slow"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// at once: the looks of a test do not wait for the clock.
func atOnce(ctx context.Context, _ time.Duration) error { return ctx.Err() }

// The kernel's answers become looks at the connection that is asked for, with its subflow; the
// others, and those that are gone, are left out.
func TestTakeFromTheKernel(t *testing.T) {
	ns := labtest.MPTCP(t)
	var client *sockdiag.Client
	var listener net.Listener
	var conns []net.Conn
	err := ns.Do(func() (err error) {
		if client, err = sockdiag.Dial(nil); err != nil {
			return err
		}
		var lc net.ListenConfig
		lc.SetMultipathTCP(true)
		if listener, err = lc.Listen(t.Context(), "tcp4", "127.0.0.1:0"); err != nil {
			return err
		}
		var d net.Dialer
		d.SetMultipathTCP(true)
		for range 2 {
			c, err := d.Dial("tcp4", listener.Addr().String())
			if err != nil {
				return err
			}
			conns = append(conns, c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer listener.Close()
	for _, c := range conns {
		defer c.Close()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(server, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	var wanted mptcp.Token
	for c, err := range client.Connections(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Local.String() == conns[0].LocalAddr().String() {
			wanted = c.Info.Token
		}
	}
	series, err := Take(t.Context(), client, &Config{
		Sleep: atOnce, Wanted: func(token mptcp.Token) bool { return token == wanted },
	})
	if err != nil || len(series) != 1 || len(series[0]) != 16 {
		t.Fatalf("%d series, %v, want one of 16 looks", len(series), err)
	}
	for _, l := range series[0] {
		if l.Connection.Info.Token != wanted || !l.Connection.Memory.Known || len(l.Subflows) != 1 ||
			l.Subflows[0].Congestion.Name == "" {
			t.Fatalf("look %+v, want the connection with its subflow in detail", l)
		}
	}
	for _, f := range slow.Findings(slow.Digest(series[0], &slow.Host{})) {
		if f.Severity > doctor.Info {
			t.Errorf("an idle connection: %s %s", f.Rule, f.Title)
		}
	}
	if none, err := Take(t.Context(), client, &Config{
		Sleep: atOnce, Wanted: func(mptcp.Token) bool { return false },
	}); err != nil || len(none) != 0 {
		t.Errorf("nothing wanted: %d series, %v", len(none), err)
	}
}

func TestTheBusiestConnections(t *testing.T) {
	before := map[mptcp.Token]figures{1: {100, 0, 0}, 2: {0, 100, 0}, 3: {5, 5, 0}, 4: {5, 5, 0}}
	now := map[mptcp.Token]figures{1: {150, 0, 0}, 2: {0, 300, 0}, 3: {5, 5, 9}, 4: {5, 5, 0}, 5: {9999, 0, 0}}
	got := order(before, now, 4)
	if want := [4]mptcp.Token{2, 1, 3, 4}; [4]mptcp.Token(got) != want {
		t.Errorf("%v, want %v", got, want)
	}
}
