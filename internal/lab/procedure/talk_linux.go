package procedure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/scenario"

	"golang.org/x/sys/unix"
)

const (
	exchangePatience = 20 * time.Second       // for a first exchange, however slow the machine
	repeatPace       = 200 * time.Millisecond // between connections that are repeated
	repeatOpen       = 8                      // of them are open at most
	streamPace       = 5 * time.Millisecond   // between the chunks of a stream
	streamChunk      = 16 << 10
)

// talk is the traffic of a trial.
type talk struct {
	ctx     context.Context // ends the traffic
	lab     *lab.Lab
	traffic scenario.Traffic

	server *lab.Server // nil where nobody listens
	beside *lab.Server // of the plain connections
	other  *lab.Server // of the second host that listens
	held   []*lab.Conn // connections that stay
	plain  []*lab.Conn
	guest  []*lab.Conn // of the other host that connects
	wg     sync.WaitGroup
}

// start starts the servers, then makes the connections.
func (t *talk) start(context.Context) error {
	if err := t.listen(); err != nil {
		return err
	}
	connections := max(t.traffic.Connections, 0)
	if t.traffic.Connections == 0 && !t.traffic.Self {
		connections = 1
	}
	for range connections {
		if err := t.open(); err != nil {
			return err
		}
	}
	if t.traffic.Guest != "" {
		c, err := lab.Connect(t.ctx, t.lab.Host(t.traffic.Guest).Namespace, t.at(t.server), nil)
		if err != nil {
			return err
		}
		t.guest = append(t.guest, c)
		if err := t.exchange(c, t.bytes()); err != nil {
			return err
		}
	}
	for range t.traffic.Beside {
		c, err := lab.Connect(t.ctx, t.client(), t.at(t.beside), &lab.ConnectConfig{TCP: true})
		if err != nil {
			return err
		}
		t.plain = append(t.plain, c)
		if err := t.exchange(c, 1000); err != nil {
			return err
		}
	}
	if t.traffic.Repeat {
		t.wg.Go(t.repeat)
	}
	return nil
}

func (t *talk) client() *lab.Namespace {
	if t.traffic.Client != "" {
		return t.lab.Host(t.traffic.Client).Namespace
	}
	return t.lab.Host(lab.ClientHost).Namespace
}

func (t *talk) serverHost() *lab.Namespace {
	if t.traffic.Server != "" {
		return t.lab.Host(t.traffic.Server).Namespace
	}
	return t.lab.Host(lab.ServerHost).Namespace
}

func (t *talk) listen() (err error) {
	if t.traffic.Self || t.traffic.Refused == unix.ENOPROTOOPT {
		return nil
	}
	at := t.traffic.Listen
	if !at.IsValid() {
		at = netip.IPv6Unspecified()
	}
	t.server, err = lab.Serve(
		t.ctx, t.serverHost(), netip.AddrPortFrom(at, scenario.Port),
		&lab.ServeConfig{TCP: t.traffic.PlainServer, Deaf: t.traffic.Unread, Once: t.traffic.Overrun},
	)
	if err != nil {
		return err
	}
	if t.traffic.Beside > 0 {
		t.beside, err = lab.Serve(t.ctx, t.serverHost(), netip.AddrPortFrom(at, 0), &lab.ServeConfig{TCP: true})
		if err != nil {
			return err
		}
	}
	if other := t.lab.Host(scenario.OtherServer); other != nil {
		t.other, err = lab.Serve(t.ctx, other.Namespace, netip.AddrPortFrom(at, scenario.Port), nil)
	}
	return err
}

// at is the address that the client reaches the server at.
func (t *talk) at(s *lab.Server) netip.AddrPort {
	to := t.traffic.To
	if !to.IsValid() {
		to = t.lab.Topology().Paths[0].Destination
	}
	port := uint16(scenario.Port)
	if s != nil {
		port = s.Addr().Port()
	}
	return netip.AddrPortFrom(to, port)
}

// connect makes one connection as the traffic says.
func (t *talk) connect() (*lab.Conn, error) {
	if t.traffic.Self {
		self := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), scenario.Port)
		return lab.Connect(t.ctx, t.client(), self, &lab.ConnectConfig{From: self})
	}
	ctx := t.ctx
	if t.traffic.Overrun && len(t.held) > 0 { // it hangs: others are to try meanwhile
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	return lab.Connect(
		ctx,
		t.client(),
		t.at(t.server),
		&lab.ConnectConfig{
			TCP:      t.traffic.PlainClient,
			V6:       t.traffic.Mapped,
			FastOpen: t.traffic.FastOpen,
			Mark:     t.traffic.Mark,
		},
	)
}

// open makes a connection that stays.
func (t *talk) open() error {
	c, err := t.connect()
	if t.traffic.Refused != 0 {
		if errors.Is(err, t.traffic.Refused) {
			return nil
		}
		if err == nil {
			c.Close()
		}
		return fmt.Errorf("connecting should have failed with %q: %w", t.traffic.Refused, err)
	}
	if err != nil {
		return err
	}
	t.held = append(t.held, c)
	if t.traffic.Quiet {
		return nil
	}
	if t.traffic.Unread {
		t.wg.Go(func() { t.stream(c) }) // until nothing fits any more
		return nil
	}
	if err := t.exchange(c, t.bytes()); err != nil {
		return fmt.Errorf("first exchange: %w", err)
	}
	if t.traffic.Stream {
		t.wg.Go(func() { t.stream(c) })
		t.wg.Go(func() { _, _ = io.Copy(io.Discard, c) }) // ends with the connection
	}
	return nil
}

func (t *talk) bytes() int {
	if t.traffic.Bytes > 0 {
		return t.traffic.Bytes
	}
	return 1000
}

// exchange sends and gets back so many bytes, within limits.
func (t *talk) exchange(c *lab.Conn, n int) error {
	if err := c.SetDeadline(time.Now().Add(exchangePatience)); err != nil {
		return err
	}
	stop := context.AfterFunc(t.ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err := c.Exchange(n)
	if !stop() || err != nil {
		return errors.Join(err, t.ctx.Err())
	}
	return c.SetDeadline(time.Time{})
}

// stream sends a chunk again and again until the connection ends.
func (t *talk) stream(c *lab.Conn) {
	tick := time.NewTicker(streamPace)
	defer tick.Stop()
	chunk := make([]byte, streamChunk)
	for {
		if _, err := c.Write(chunk); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return
		}
	}
}

// repeat makes connection after connection. Each stays open for a while, so that
// those who look see some of them.
func (t *talk) repeat() {
	tick := time.NewTicker(repeatPace)
	defer tick.Stop()
	places := make(chan struct{}, repeatOpen)
	for {
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return
		}
		select {
		case places <- struct{}{}:
			t.wg.Go(func() {
				defer func() { <-places }()
				t.once()
			})
		default: // as many as may be are open
		}
	}
}

// once makes one connection that is to fail or not, and holds it a moment. With
// Stream it sends again and again meanwhile: the first exchange may be over before
// a second subflow is there to carry some of it.
func (t *talk) once() {
	c, err := t.connect()
	if err != nil {
		return // that is what some scenarios are about
	}
	defer c.Close()
	pause := time.Duration(repeatOpen * repeatPace * 3 / 4)
	if t.traffic.Stream {
		pause = repeatPace / 4
	}
	for over := time.Now().Add(repeatOpen * repeatPace * 3 / 4); ; {
		if !t.traffic.Overrun && t.exchange(c, t.bytes()) != nil {
			return
		}
		select {
		case <-time.After(pause):
		case <-t.ctx.Done():
			return
		}
		if time.Now().After(over) {
			return
		}
	}
}

// close ends everything and waits for it.
func (t *talk) close() error {
	var errs []error
	for _, c := range slices.Concat(t.held, t.plain, t.guest) {
		c.Close() // it may have ended already
	}
	t.wg.Wait()
	for _, s := range []*lab.Server{t.server, t.beside, t.other} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
