package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Bounds of what is worked on at the same time.
const (
	gateRunning  = 16          // answers that are being made
	gateWaiting  = 64          // requests that wait for that
	gateClient   = 40          // of both, for one client address
	gatePatience = time.Second // how long a request waits
	retryAfter   = "1"         // seconds, for clients that were refused
)

// gate lets few requests at a time make their answers. What is sent is no longer
// within: a client that does not read holds no place.
type gate struct {
	places  chan struct{}
	mu      sync.Mutex
	clients map[netip.Addr]int // requests inside or waiting
	all     int
}

func newGate() *gate {
	return &gate{places: make(chan struct{}, gateRunning), clients: make(map[netip.Addr]int)}
}

// enter waits for a place, and reports whether there was one; leave gives it back, and
// may be called more than once.
func (g *gate) enter(ctx context.Context, client netip.Addr) (leave func(), ok bool) {
	if !g.register(client) {
		return nil, false
	}
	patience := time.NewTimer(gatePatience)
	defer patience.Stop()
	select {
	case g.places <- struct{}{}:
		return sync.OnceFunc(func() { <-g.places; g.forget(client) }), true
	case <-patience.C:
	case <-ctx.Done():
	}
	g.forget(client)
	return nil, false
}

func (g *gate) register(client netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= gateRunning+gateWaiting || g.clients[client] >= gateClient {
		return false
	}
	g.all++
	g.clients[client]++
	return true
}

func (g *gate) forget(client netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.clients[client]--; g.clients[client] == 0 {
		delete(g.clients, client)
	}
}

// clientOf returns the address of who sent the request, of an IPv6 one the network of 64
// bits that a single host has for itself.
func clientOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	if a = a.Unmap().WithZone(""); a.Is4() || a.IsLoopback() {
		return a
	}
	if p, err := a.Prefix(64); err == nil {
		return p.Addr()
	}
	return a
}

// answer is where a handler writes that went through the gate.
type answer struct {
	http.ResponseWriter
	server *Server
	leave  func()
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// posted says that the answer is made, and only sending is left: of so many bytes, or
// row by row of a view. The caller calls sent at its end.
func (a *answer) posted(size int64, view uint64) (sent func()) {
	a.leave()
	if size <= outboxSmall {
		return func() {}
	}
	return a.server.outbox.enter(a, size, view)
}

// costly wraps a handler whose answer takes work or memory.
func (s *Server) costly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		leave, ok := s.gate.enter(r.Context(), clientOf(r))
		if !ok {
			s.guard.refusals.note(refusedBusy, r.RemoteAddr)
			busy(w, "too many requests are being answered")
			return
		}
		defer leave()
		next(&answer{w, s, leave}, r)
	}
}

// busy answers that the client may come again later.
func busy(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", retryAfter)
	fail(w, http.StatusServiceUnavailable, text)
}
