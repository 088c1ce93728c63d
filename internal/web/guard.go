package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What a token must be, so that guessing is hopeless. Random ones, as `openssl rand -hex 32`
// makes them, are far from these bounds.
const (
	minToken   = 16 // bytes
	minVariety = 6  // different ones
)

// CheckToken returns an error if the token can be guessed, which says how to make another.
func CheckToken(token []byte) error {
	switch {
	case len(token) == 0:
		return errors.New("the token is empty: `openssl rand -hex 32` makes one")
	case len(token) < minToken:
		return errors.New("the token is too short: it needs at least 16 characters; `openssl rand -hex 32` makes one")
	case len(slices.Compact(slices.Sorted(slices.Values(token)))) < minVariety:
		return errors.New("the token is too simple: it needs at least 6 different characters; " +
			"`openssl rand -hex 32` makes one")
	}
	return nil
}

// CheckExposure returns an error if a server at that address may not be opened as
// it is: on any address but loopback, clients must prove who they are.
func CheckExposure(listen netip.Addr, token, clientCertificates bool) error {
	if listen.IsLoopback() || token || clientCertificates {
		return nil
	}
	return errors.New("everybody who can reach this address could read all connections: " +
		"use a token (--token-file) or client certificates (--client-ca), or listen on 127.0.0.1")
}

// guard decides who is answered.
type guard struct {
	token    func() []byte // nil: none is asked for
	names    []string
	sessions *sessions
	refusals *refusals
}

const cookieName = "mptcpctl_session"

func newGuard(c *Config) guard {
	return guard{
		token: c.Token, names: c.Names, sessions: newSessions(), refusals: newRefusals(c.Log),
	}
}

// contentPolicy lets the page load its own files and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func setSecurityHeaders(h http.Header, overTLS bool) {
	if overTLS {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
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
			g.misdirected(w, r)
		case foreign(r):
			g.foreignOrigin(w, r)
		default:
			g.authenticate(w, r, next)
		}
	})
}

// bodiless wraps the handler of everything: a request with a body, but for the form with
// the token, is refused, and its connection closed. The body is never read, neither here nor by the HTTP library when
// the answer is out: a client could make that last as long as it likes.
func (g *guard) bodiless(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		setSecurityHeaders(w.Header(), r.TLS != nil)
		w.Header().Set("Connection", "close")
		if isLogin(r) {
			g.login(w, r)
			return
		}
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
		setSecurityHeaders(w.Header(), r.TLS != nil)
		if !plainPath(r.URL) {
			fail(w, http.StatusBadRequest, "the path is not in canonical form")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// authenticate asks for the token, where there is one: as a bearer token, or as the
// cookie of a browser that has shown it.
func (g *guard) authenticate(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if g.open() || g.inSession(r) {
		next.ServeHTTP(w, r)
		return
	}
	bearer, given := bearerOf(r)
	if given && g.shows(w, r, bearer) {
		next.ServeHTTP(w, r)
		return
	}
	if given {
		return
	}
	g.refusals.note(refusedToken, r.RemoteAddr)
	g.askForToken(w, r)
}

// open reports whether everybody is answered.
func (g *guard) open() bool { return g.token == nil }

// inSession reports whether a browser asks that has shown the token, as it is now.
func (g *guard) inSession(r *http.Request) bool {
	return !g.open() && g.sessions.knows(r, time.Now(), sha256.Sum256(g.token()))
}

// admits reports whether the request would be answered now, which a stream asks from time
// to time: its session may have ended, or the token changed.
func (g *guard) admits(r *http.Request) bool {
	bearer, given := bearerOf(r)
	return g.open() || g.inSession(r) || given && g.isToken(bearer)
}

// bearerOf returns the token in the header. The scheme's name may be in any case
// (RFC 9110, 11.1).
func bearerOf(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "bearer")
}

// shows reports whether that is the token. Where it is not, it has answered.
func (g *guard) shows(w http.ResponseWriter, r *http.Request, token string) bool {
	if g.refusals.crowded(r) {
		g.refusals.note(refusedBusy, r.RemoteAddr)
		tooManyGuesses(w)
		return false
	}
	if g.isToken(token) {
		return true
	}
	g.refusals.note(refusedToken, r.RemoteAddr)
	if !g.refusals.wrong(r) {
		tooManyGuesses(w)
		return false
	}
	g.askForToken(w, r)
	return false
}

func tooManyGuesses(w http.ResponseWriter) {
	w.Header().Set("Retry-After", retryAfter)
	fail(w, http.StatusTooManyRequests, "too many wrong tokens")
}

// askForToken answers that a token is needed: a browser that wants the page, with a form
// for it.
func (g *guard) askForToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="mptcpctl"`)
	if r.URL.Path == "/" || r.URL.Path == loginPath {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusUnauthorized)
		send(w, mustRead("assets/login.html"))
		return
	}
	fail(w, http.StatusUnauthorized, "a token is needed: Authorization: Bearer TOKEN")
}

// loginPath takes the form with the token, logoutPath one without fields.
const (
	loginPath    = "/login"
	logoutPath   = "/logout"
	loginMost    = 4096 // bytes of the form
	loginTimeout = 2 * time.Second
)

// isLogin reports whether the request may be the form: the only one with a body.
func isLogin(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == loginPath && r.ContentLength > 0 && r.ContentLength <= loginMost
}

// login makes a session of the token in the form. Its body is small, and has little time
// to arrive.
func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).
		SetReadDeadline(time.Now().Add(loginTimeout))
		// where it fails there is no connection
	switch {
	case !g.knowsHost(r.Host):
		g.misdirected(w, r)
		return
	case foreign(r):
		g.foreignOrigin(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, loginMost)
	if err := r.ParseForm(); err != nil {
		fail(w, http.StatusBadRequest, "the form did not arrive")
		return
	}
	shown := strings.TrimSpace(r.PostForm.Get("token"))
	if !g.open() && !g.shows(w, r, shown) {
		return
	}
	g.sessions.setCookie(w, r, sha256.Sum256([]byte(shown)))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// logout ends the browser's session.
func (g *guard) logout(w http.ResponseWriter, r *http.Request) {
	switch {
	case !g.knowsHost(r.Host):
		g.misdirected(w, r)
		return
	case foreign(r):
		g.foreignOrigin(w, r)
		return
	}
	g.sessions.end(r)
	http.SetCookie(w, cookie(r, "", -1))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (g *guard) misdirected(w http.ResponseWriter, r *http.Request) {
	g.refusals.note(refusedHost, r.RemoteAddr)
	fail(w, http.StatusMisdirectedRequest,
		"the name in the Host header is not this server's: use its address, or start it with --name")
}

func (g *guard) foreignOrigin(w http.ResponseWriter, r *http.Request) {
	g.refusals.note(refusedOrigin, r.RemoteAddr)
	fail(w, http.StatusForbidden, "requests from pages of other origins are refused")
}

// isToken compares hashes, which have one length: that takes the same time for all tokens.
func (g *guard) isToken(s string) bool {
	shown, want := sha256.Sum256([]byte(s)), sha256.Sum256(g.token())
	return subtle.ConstantTimeCompare(shown[:], want[:]) == 1
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
