package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"mptcpctl/internal/lab"
)

// startServer starts the server on a free port of the namespace, which has no other
// programs, and waits until it answers.
func (s *settings) startServer(ctx context.Context) (*running, string, error) {
	const address = "127.0.0.1:9099"
	r := &running{command(ctx, s.tool("mptcpctl-full"), "serve", "--listen", address)}
	log, err := r.cmd.StderrPipe()
	if err != nil {
		return nil, "", err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, "", err
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "listening") {
			go io.Copy(io.Discard, log) //nolint:errcheck // it ends with the server
			return r, address, nil
		}
	}
	return nil, "", errors.Join(errors.New("serve does not listen"), r.cmd.Wait())
}

// slowReaders are clients that ask for much and read nothing.
type slowReaders struct {
	address string
	conns   []net.Conn
}

func readSlowly(address string, n int) (*slowReaders, error) {
	s := &slowReaders{address, make([]net.Conn, n)}
	s.renew()
	if s.conns[0] == nil {
		return nil, fmt.Errorf("nobody answers at %s", address)
	}
	return s, nil
}

// renew ends all readers and starts others.
func (s *slowReaders) renew() {
	s.close()
	for i := range s.conns {
		path := []string{"/api/v1/events", "/api/v1/connections?limit=100000", "/metrics"}[i%3]
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			continue // the server may refuse: that bounds what it holds
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, s.address)
		s.conns[i] = c
	}
}

func (s *slowReaders) close() {
	for _, c := range s.conns {
		if c != nil {
			c.Close()
		}
	}
	clear(s.conns)
}

// client is a reader as it should be: it asks for one thing after the other.
type client struct {
	http                   http.Client
	address                string
	answered, busy, failed int
	slowest                time.Duration
	last                   error
}

// newClient returns a client that asks from the namespace.
func newClient(ns *lab.Namespace, address string) *client {
	dial := func(ctx context.Context, network, address string) (c net.Conn, err error) {
		entered := ns.Do(func() error {
			c, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return c, entered
	}
	return &client{
		http:    http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: dial}},
		address: address,
	}
}

// beside asks once a quarter of a second while work runs on this thread, and returns what
// the work returned.
func (c *client) beside(ctx context.Context, work func(context.Context) (made, error)) (made, error) {
	asking, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for asking.Err() == nil {
			for _, path := range []string{"/api/v1/connections?limit=100", "/metrics", "/healthz"} {
				c.ask(ctx, path)
			}
			time.Sleep(250 * time.Millisecond)
		}
	}()
	m, err := work(ctx)
	stop()
	<-ended
	return m, err
}

// ask takes one answer.
func (c *client) ask(ctx context.Context, path string) {
	began := time.Now()
	status, err := c.get(ctx, "http://"+c.address+path)
	c.slowest = max(c.slowest, time.Since(began))
	switch {
	case err == nil && status == http.StatusOK:
		c.answered++
	case err == nil && status == http.StatusServiceUnavailable:
		c.busy++
	default:
		c.failed++
		c.last = errors.Join(err, fmt.Errorf("%s: status %d", path, status))
	}
}

func (c *client) get(ctx context.Context, url string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// check returns an error if more than one request in fifty was not answered.
func (c *client) check() error {
	all := c.answered + c.busy + c.failed
	if all == 0 || 50*(c.busy+c.failed) > all {
		return fmt.Errorf("of %d requests %d were refused as busy and %d failed; the last failure: %w",
			all, c.busy, c.failed, c.last)
	}
	return nil
}
