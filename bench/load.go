package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"golang.org/x/sys/unix"
)

const protocol = 262 // IPPROTO_MPTCP

// socket opens an MPTCP socket of IPv4.
func socket() (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
}

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

// listener opens a listener and returns its port.
func listener(port int) (fd, bound int, err error) {
	if fd, err = socket(); err != nil {
		return 0, 0, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := errors.Join(unix.Bind(fd, loopback(port)), unix.Listen(fd, 4096)); err != nil {
		return 0, 0, errors.Join(err, unix.Close(fd))
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, err
	}
	return fd, name.(*unix.SockaddrInet4).Port, nil
}

// relisten makes n LISTENER_CREATED, the cheapest event there is: listen() on a
// socket that listens already. A rate above 0 spreads them.
func relisten(n, rate int, each func(i int)) error {
	fd, _, err := listener(0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	begin := time.Now()
	for i := range n {
		if rate > 0 {
			spinUntil(begin.Add(time.Duration(i) * time.Second / time.Duration(rate)))
		}
		if each != nil {
			each(i)
		}
		if err := unix.Listen(fd, 4096+i%2); err != nil {
			return err
		}
	}
	return nil
}

// spinUntil waits: asleep while there is time, then awake, so that the pace holds.
func spinUntil(t time.Time) {
	for {
		left := time.Until(t)
		if left <= 0 {
			return
		}
		if left > 200*time.Microsecond {
			time.Sleep(left - 100*time.Microsecond)
		}
	}
}

// pair is both ends of a connection.
type pair struct{ client, server int }

func (p pair) close() {
	unix.Close(p.client)
	unix.Close(p.server)
}

// connect makes a connection to the listener and sends a byte each way.
func connect(l, port int) (pair, error) {
	c, err := socket()
	if err != nil {
		return pair{}, err
	}
	if err := unix.Connect(c, loopback(port)); err != nil {
		return pair{}, errors.Join(err, unix.Close(c))
	}
	s, _, err := unix.Accept(l)
	if err != nil {
		return pair{}, errors.Join(err, unix.Close(c))
	}
	p := pair{c, s}
	one := []byte{1}
	for _, way := range [][2]int{{c, s}, {s, c}} {
		if _, err := unix.Write(way[0], one); err != nil {
			p.close()
			return pair{}, err
		}
		if _, err := unix.Read(way[1], one); err != nil {
			p.close()
			return pair{}, err
		}
	}
	return p, nil
}

// connections makes n connections and ends each at once: six events each.
func connections(n int) error {
	l, port, err := listener(0)
	if err != nil {
		return err
	}
	defer unix.Close(l)
	for range n {
		p, err := connect(l, port)
		if err != nil {
			return err
		}
		p.close()
	}
	return nil
}

// hold makes n connections, spread over several ports, and holds them.
func hold(n int) (release func(), err error) {
	var pairs []pair
	var listeners []int
	release = func() {
		for _, p := range pairs {
			p.close()
		}
		for _, l := range listeners {
			unix.Close(l)
		}
	}
	const perPort = 5000
	for i := range n {
		if i%perPort == 0 {
			l, port, err := listener(0)
			if err != nil {
				release()
				return nil, err
			}
			listeners = append(listeners, l)
			_ = port
		}
		l := listeners[len(listeners)-1]
		name, err := unix.Getsockname(l)
		if err == nil {
			var p pair
			if p, err = connect(l, name.(*unix.SockaddrInet4).Port); err == nil {
				pairs = append(pairs, p)
			}
		}
		if err != nil {
			release()
			return nil, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	return release, nil
}

// priorities makes events with all attributes: the priority of the initial
// subflow of held connections is changed again and again.
type priorities struct {
	pm      *pathmanager.Client
	release func()
	backup  bool
}

func newPriorities(held int) (*priorities, error) {
	release, err := hold(held)
	if err != nil {
		return nil, err
	}
	p := &priorities{release: release}
	if p.pm, err = pathmanager.Dial(nil); err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := p.pm.FlushEndpoints(ctx); err != nil {
		return nil, err
	}
	if err := p.pm.AddEndpoint(ctx, mptcp.Endpoint{ID: 1, Address: netip.MustParseAddr("127.0.0.1"), Flags: mptcp.FlagSubflow}); err != nil {
		return nil, err
	}
	return p, nil
}

// change changes the priority once, which makes events of every connection.
func (p *priorities) change() error {
	p.backup = !p.backup
	flags := mptcp.EndpointFlags(0)
	if p.backup {
		flags = mptcp.FlagBackup
	}
	return p.pm.SetEndpointFlags(context.Background(), pathmanager.Selector{ID: 1}, flags)
}

func (p *priorities) close() {
	_ = p.pm.FlushEndpoints(context.Background()) // the namespace goes with the run
	p.pm.Close()
	p.release()
}
