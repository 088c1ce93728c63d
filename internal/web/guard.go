package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// minToken is how long a token must be: long enough that guessing is hopeless.
const minToken = 16

// CheckExposure returns an error if a server at that address may not be opened as
// it is: on any address but loopback, clients must prove who they are.
func CheckExposure(listen netip.Addr, token []byte, clientCertificates bool) error {
	if len(token) > 0 && len(token) < minToken {
		return errors.New("the token is too short: at least 16 characters, for example from `openssl rand -hex 32`")
	}
	if listen.IsLoopback() || len(token) > 0 || clientCertificates {
		return nil
	}
	return errors.New("everybody who can reach this address could read all connections: " +
		"use a token (--token-file) or client certificates (--client-ca), or listen on 127.0.0.1")
}

// guard decides who is answered.
type guard struct {
	token   [sha256.Size]byte // the hash of it: hashes of equal length compare in constant time
	session string            // the cookie's value for who has shown the token
	open    bool              // no token is asked for
	names   []string
}

const cookieName = "mptcpctl_session"

func newGuard(c *Config) guard {
	mac := hmac.New(sha256.New, c.Token)
	mac.Write([]byte("mptcpctl session"))
	return guard{
		token:   sha256.Sum256(c.Token),
		session: hex.EncodeToString(mac.Sum(nil)),
		open:    len(c.Token) == 0,
		names:   c.Names,
	}
}

// contentPolicy lets the page load its own files and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func setSecurityHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cache-Control", "no-store")
}

// admit wraps the handler of all that is not for everybody.
func (g *guard) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "this server only reads: GET and HEAD")
		case r.ContentLength != 0:
			fail(w, http.StatusRequestEntityTooLarge, "this server accepts no request bodies")
		case !g.knowsHost(r.Host):
			fail(w, http.StatusMisdirectedRequest, "the name in the Host header is not this server's: use its address, or start it with --name")
		case foreign(r):
			fail(w, http.StatusForbidden, "requests from pages of other origins are refused")
		default:
			g.authenticate(w, r, next)
		}
	})
}

// bodiless wraps the handler of everything: a request with a body is refused, and its
// connection closed. The body is never read, neither here nor by the HTTP library when
// the answer is out: a client could make that last as long as it likes.
func bodiless(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		setSecurityHeaders(w.Header())
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now()) // where it fails there is no connection
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "this server only reads: GET and HEAD")
			return
		}
		fail(w, http.StatusRequestEntityTooLarge, "requests have no body here")
	})
}

// plain wraps the handler of everything: it refuses paths that are not in their
// plain form, which the multiplexer would send elsewhere.
func plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setSecurityHeaders(w.Header())
		if !plainPath(r.URL) {
			fail(w, http.StatusBadRequest, "the path is not in canonical form")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate asks for the token, where there is one: as a bearer token, as the
// cookie of a browser, or once in the address, which makes the cookie.
func (g *guard) authenticate(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if g.open {
		next.ServeHTTP(w, r)
		return
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && g.isToken(bearer) {
		next.ServeHTTP(w, r)
		return
	}
	if c, err := r.Cookie(cookieName); err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(g.session)) == 1 {
		next.ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/" && g.isToken(r.URL.Query().Get("token")) {
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: g.session, Path: "/", HttpOnly: true,
			SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
		})
		http.Redirect(w, r, "/", http.StatusSeeOther) // the address without the token
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="mptcpctl"`)
	if r.URL.Path == "/" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusUnauthorized)
		send(w, mustRead("assets/login.html"))
		return
	}
	fail(w, http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN")
}

func (g *guard) isToken(s string) bool {
	sum := sha256.Sum256([]byte(s))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// knowsHost reports whether the Host header names this server in a way that no
// page of somebody else's can have: an address, localhost, or a listed name.
func (g *guard) knowsHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || slices.Contains(g.names, name)
}

// foreign reports whether a page of another origin made the browser send this
// request. To follow a link here is no such request.
func foreign(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Host != r.Host {
			return true
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}

// plainPath reports whether the path is as a client that means well writes it.
func plainPath(u *url.URL) bool {
	if strings.ContainsAny(u.Path, "\x00\\\r\n") || strings.Contains(u.Path, "//") {
		return false
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	return true
}
