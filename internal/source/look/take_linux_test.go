package look

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/slow"
	"mptcpctl/internal/await"
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

// A peer that does not read stops the connection: the looks say that its reader is the limit,
// and that no path is.
func TestAPeerThatDoesNotRead(t *testing.T) {
	ns := labtest.MPTCP(t)
	var client *sockdiag.Client
	var writer net.Conn
	err := ns.Do(func() (err error) {
		if client, err = sockdiag.Dial(nil); err != nil {
			return err
		}
		var lc net.ListenConfig
		lc.SetMultipathTCP(true)
		listener, err := lc.Listen(t.Context(), "tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		t.Cleanup(func() { listener.Close() })
		var d net.Dialer
		d.SetMultipathTCP(true)
		writer, err = d.Dial("tcp4", listener.Addr().String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for data := make([]byte, 64<<10); ; {
			if _, err := writer.Write(data); err != nil {
				return
			}
		}
	}()
	defer func() { writer.Close(); <-done }()
	own := func(token mptcp.Token) bool {
		c, err := client.Connection(t.Context(), token)
		return err == nil && c.Local.String() == writer.LocalAddr().String()
	}
	var got slow.Limit
	await.True(t, "the reader is the limit", func() bool {
		pause := func(ctx context.Context, _ time.Duration) error { return sleep(ctx, 5*time.Millisecond) }
		series, err := Take(t.Context(), client, &Config{Sleep: pause, Wanted: own})
		if err != nil || len(series) != 1 {
			return false
		}
		v := slow.Digest(series[0], &slow.Host{})
		labels := slow.Labels(v)
		if len(labels) != 1 || labels[0] == nil {
			return false
		}
		got = *labels[0]
		return got.What == slow.Reader && len(slow.Findings(v)) > 0
	})
	if got.Side != "peer" {
		t.Errorf("limit %v, want the reader at the peer", got.String())
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
