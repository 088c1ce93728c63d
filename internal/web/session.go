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
	ends map[sum]session // by the hash of what the cookie holds
}

type sum = [sha256.Size]byte

// session is that of one browser.
type session struct {
	end   time.Time
	token sum // that the browser has shown
}

func newSessions() *sessions { return &sessions{ends: make(map[sum]session)} }

// begin starts the session of a browser that has shown the token with that hash, and
// returns what its cookie holds.
func (s *sessions) begin(now time.Time, token sum) string {
	var number [32]byte
	_, _ = rand.Read(number[:]) // it never fails
	value := hex.EncodeToString(number[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ends) >= sessionMost {
		s.forget(now)
	}
	s.ends[sha256.Sum256([]byte(value))] = session{now.Add(sessionLife), token}
	return value
}

// forget drops what has ended, or else what ends first. The caller holds mu.
func (s *sessions) forget(now time.Time) {
	var first sum
	var at time.Time
	for key, session := range s.ends {
		if !now.Before(session.end) {
			delete(s.ends, key)
		} else if at.IsZero() || session.end.Before(at) {
			first, at = key, session.end
		}
	}
	if len(s.ends) >= sessionMost {
		delete(s.ends, first)
	}
}

// knows reports whether one of the request's cookies is that of a session that began with
// the token. A browser sends those that other programs on this host have set as well.
func (s *sessions) knows(r *http.Request, now time.Time, token sum) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range r.CookiesNamed(cookieOf(r)) {
		of, ok := s.ends[sha256.Sum256([]byte(c.Value))]
		if ok && now.Before(of.end) && of.token == token {
			return true
		}
	}
	return false
}

// end ends the request's sessions.
func (s *sessions) end(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range r.CookiesNamed(cookieOf(r)) {
		delete(s.ends, sha256.Sum256([]byte(c.Value)))
	}
}

// cookieOf returns the cookie's name. Over TLS it has a prefix with which browsers take
// it from this very server alone.
func cookieOf(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-" + cookieName
	}
	return cookieName
}

// setCookie gives the browser a session that began with the token.
func (s *sessions) setCookie(w http.ResponseWriter, r *http.Request, token sum) {
	http.SetCookie(w, cookie(r, s.begin(time.Now(), token), int(sessionLife/time.Second)))
}

// cookie returns the session's cookie, which the browser keeps for so many seconds: -1
// removes it.
func cookie(r *http.Request, value string, seconds int) *http.Cookie {
	return &http.Cookie{
		Name: cookieOf(r), Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	}
}
