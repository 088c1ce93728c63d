package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"
)

const (
	sessionLife = 12 * time.Hour
	sessionMost = 256 // at a time: the oldest makes room
)

// sessions are the browsers that have shown the token. Each has a number of its own,
// which nobody can guess, and ends after a while; all end with the server.
type sessions struct {
	mu   sync.Mutex
	ends map[[sha256.Size]byte]time.Time // by the hash of what the cookie holds
}

func newSessions() *sessions { return &sessions{ends: make(map[[sha256.Size]byte]time.Time)} }

// begin starts a session and returns what its cookie holds.
func (s *sessions) begin(now time.Time) string {
	var number [32]byte
	_, _ = rand.Read(number[:]) // it never fails
	value := hex.EncodeToString(number[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ends) >= sessionMost {
		s.forget(now)
	}
	s.ends[sha256.Sum256([]byte(value))] = now.Add(sessionLife)
	return value
}

// forget drops what has ended, or else what ends first. The caller holds mu.
func (s *sessions) forget(now time.Time) {
	var first [sha256.Size]byte
	var at time.Time
	for key, end := range s.ends {
		if !now.Before(end) {
			delete(s.ends, key)
		} else if at.IsZero() || end.Before(at) {
			first, at = key, end
		}
	}
	if len(s.ends) >= sessionMost {
		delete(s.ends, first)
	}
}

// knows reports whether one of the request's cookies is that of a session. A browser
// sends those that other programs on this host have set as well.
func (s *sessions) knows(r *http.Request, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range r.CookiesNamed(cookieOf(r)) {
		if end, ok := s.ends[sha256.Sum256([]byte(c.Value))]; ok && now.Before(end) {
			return true
		}
	}
	return false
}

// cookieOf returns the cookie's name. Over TLS it has a prefix with which browsers take
// it from this very server alone.
func cookieOf(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-" + cookieName
	}
	return cookieName
}

// setCookie gives the browser a session.
func (s *sessions) setCookie(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieOf(r), Value: s.begin(time.Now()), Path: "/", MaxAge: int(sessionLife / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}
