package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const protocolMPTCP = 262 // IPPROTO_MPTCP

// socket opens an MPTCP socket of IPv4.
func socket() (int, error) {
	return unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocolMPTCP)
}

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
}

// listener opens a listener and returns its port.
func listener() (fd, port int, err error) {
	if fd, err = socket(); err != nil {
		return 0, 0, err
	}
	if err := errors.Join(unix.Bind(fd, loopback(0)), unix.Listen(fd, 4096)); err != nil {
		return 0, 0, errors.Join(err, unix.Close(fd))
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, 0, errors.Join(err, unix.Close(fd))
	}
	return fd, name.(*unix.SockaddrInet4).Port, nil
}

// pair is both ends of a connection.
type pair struct{ client, server int }

func (p pair) close() {
	unix.Close(p.client)
	unix.Close(p.server)
}

// mptcp reports whether the connection did not fall back.
func (p pair) mptcp() bool {
	const solMPTCP, mptcpInfo = 284, 1
	_, err := unix.GetsockoptInt(p.client, solMPTCP, mptcpInfo) // EOPNOTSUPP after a fallback
	return err == nil
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

// perPort is how many connections a listener gets: the ports of their other ends
// are soon found.
const perPort = 5000

// hold makes n connections, spread over several ports, and holds them until the
// returned function is called.
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
	for first := 0; first < n; first += perPort {
		l, port, err := listener()
		if err != nil {
			release()
			return nil, err
		}
		listeners = append(listeners, l)
		for i := first; i < min(n, first+perPort); i++ {
			p, err := connect(l, port)
			if err != nil {
				release()
				return nil, fmt.Errorf("connection %d: %w", i, err)
			}
			pairs = append(pairs, p)
		}
	}
	return release, nil
}
