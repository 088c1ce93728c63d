package web

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

const testToken = "correct horse battery staple"

func TestOnlyLoopbackIsOpenToAll(t *testing.T) {
	for _, c := range []struct {
		address             string
		token, certificates bool
		refused             bool
	}{
		{"127.0.0.1", false, false, false},
		{"::1", false, false, false},
		{"0.0.0.0", false, false, true},
		{"::", false, false, true},
		{"192.0.2.1", false, false, true},
		{"192.0.2.1", true, false, false},
		{"192.0.2.1", false, true, false},
	} {
		err := CheckExposure(netip.MustParseAddr(c.address), c.token, c.certificates)
		if (err != nil) != c.refused {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestWeakTokensAreRefused: the sentence says how to make one that is not.
func TestWeakTokensAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "empty", "short": "too short", "fifteen-letters": "too short", "0000000000000000000000": "too simple",
		"abcabcabcabcabcabc": "too simple", testToken: "",
		"9b1f6f0c2f3fd3a1": "", "b0a4c5b6f3a54ad2a9c3a6d4a7e4b1f2b0a4c5b6f3a54ad2a9c3a6d4a7e4b1f2": "",
	} {
		err := CheckToken([]byte(text))
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "openssl rand -hex 32")):
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// always is a token that does not change.
func always(token string) func() []byte { return func() []byte { return []byte(token) } }

// TestSessionsEndWithTheToken: a browser that has shown the old one, and a program that
// still does, are strangers. The stream of the one and the other ends as well.
func TestSessionsEndWithTheToken(t *testing.T) {
	token := testToken
	w := newWorld(t, 0, Config{Token: func() []byte { return []byte(token) }})
	c := login(w.server, testToken).Result().Cookies()[0]
	cookie := []string{"Cookie", c.Name + "=" + c.Value}
	bearer := []string{"Authorization", "Bearer " + testToken}
	check := func(want int) {
		t.Helper()
		for _, header := range [][]string{cookie, bearer} {
			if got := ask(w.server, "/api/v1/summary", header...); got.Code != want {
				t.Errorf("%s: %d, want %d", header[0], got.Code, want)
			}
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9099/api/v1/events", nil)
			r.Header.Set(header[0], header[1])
			if got := w.server.guard.admits(r); got != (want == http.StatusOK) {
				t.Errorf("%s: the stream goes on: %v", header[0], got)
			}
		}
	}
	check(http.StatusOK)
	token = "another token of some length"
	check(http.StatusUnauthorized)
	if got := login(w.server, token); got.Code != http.StatusSeeOther {
		t.Errorf("with the new token: %d", got.Code)
	}
}

// TestLogoutEndsTheSession: of this browser alone, and not by a foreign page.
func TestLogoutEndsTheSession(t *testing.T) {
	w := newWorld(t, 0, Config{Token: always(testToken)})
	begin := func() string {
		c := login(w.server, testToken).Result().Cookies()[0]
		return c.Name + "=" + c.Value
	}
	logout := func(headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:9099/logout", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		got := httptest.NewRecorder()
		w.server.Handler().ServeHTTP(got, r)
		return got
	}
	inSession := func(cookie string) bool {
		got := ask(w.server, "/api/v1/summary", "Cookie", cookie)
		return got.Code == http.StatusOK && strings.Contains(got.Body.String(), `"session":true`)
	}
	mine, others := begin(), begin()
	if got := logout("Cookie", mine, "Origin", "https://evil.example"); got.Code != http.StatusForbidden || !inSession(mine) {
		t.Errorf("a foreign page: %d", got.Code)
	}
	if got := ask(w.server, "/logout", "Cookie", mine); got.Code != http.StatusNotFound || !inSession(mine) {
		t.Errorf("a link: %d", got.Code)
	}
	got := logout("Cookie", cookieName+"=x; "+mine)
	if got.Code != http.StatusSeeOther || got.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("%d, %v", got.Code, got.Result().Cookies())
	}
	if inSession(mine) || !inSession(others) {
		t.Errorf("this browser %v, the other one %v", inSession(mine), inSession(others))
	}
	open := newWorld(t, 0, Config{})
	if got := ask(open.server, "/api/v1/summary"); !strings.Contains(got.Body.String(), `"session":false`) {
		t.Error("a server without a token has sessions")
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t, 0, Config{Token: always(testToken)})
	for _, c := range []struct {
		name    string
		target  string
		headers []string
		status  int
	}{
		{"none", "/api/v1/summary", nil, 401},
		{"right", "/api/v1/summary", []string{"Authorization", "Bearer " + testToken}, 200},
		{"wrong", "/api/v1/summary", []string{"Authorization", "Bearer " + testToken + "x"}, 401},
		{"a part of it", "/api/v1/summary", []string{"Authorization", "Bearer " + testToken[:10]}, 401},
		{"empty", "/api/v1/summary", []string{"Authorization", "Bearer "}, 401},
		{"another scheme", "/api/v1/summary", []string{"Authorization", "Basic " + testToken}, 401},
		{"in the address of the API", "/api/v1/summary?token=" + strings.ReplaceAll(testToken, " ", "+"), nil, 401},
		{"the token as cookie", "/api/v1/summary", []string{"Cookie", cookieName + "=" + testToken}, 401},
		{"an empty cookie", "/api/v1/summary", []string{"Cookie", cookieName + "="}, 401},
		{"the page", "/", nil, 401},
		{"a file of the page", "/static/app.js", nil, 401},
		{"metrics", "/metrics", nil, 401},
		{"events", "/api/v1/events", nil, 401},
		{"what does not exist", "/nothing", nil, 401},
		{"health", "/healthz", nil, 200},
	} {
		if got := ask(w.server, c.target, c.headers...); got.Code != c.status {
			t.Errorf("%s: %d, want %d", c.name, got.Code, c.status)
		} else if strings.Contains(got.Body.String(), testToken) {
			t.Errorf("%s: the answer holds the token", c.name)
		}
	}
}

// login sends the form with the token.
func login(s *Server, token string, headers ...string) *httptest.ResponseRecorder {
	body := url.Values{"token": {token}}.Encode()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:9099/login", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func TestLoginMakesASession(t *testing.T) {
	w := newWorld(t, 0, Config{Token: always(testToken)})
	got := login(w.server, testToken)
	if got.Code != http.StatusSeeOther || got.Header().Get("Location") != "/" {
		t.Fatalf("%d to %q", got.Code, got.Header().Get("Location"))
	}
	cookie := got.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.MaxAge <= 0 || cookie.MaxAge > 24*3600 {
		t.Errorf("cookie %v", cookie)
	}
	mine := cookie.Name + "=" + cookie.Value
	for _, cookies := range []string{mine, cookieName + "=x; " + mine, mine + "; " + cookieName + "=x"} {
		if got := ask(w.server, "/", "Cookie", cookies); got.Code != http.StatusOK {
			t.Errorf("%s: %d", cookies, got.Code)
		}
	}
	if again := login(w.server, testToken).Result().Cookies()[0]; again.Value == cookie.Value {
		t.Error("two sessions have the same cookie")
	}
	// Another server, or this one after a restart, does not know it.
	other := newWorld(t, 0, Config{Token: always(testToken)})
	if got := ask(other.server, "/", "Cookie", mine); got.Code != http.StatusUnauthorized {
		t.Errorf("at another server: %d", got.Code)
	}
	for key, session := range w.server.guard.sessions.ends {
		session.end = time.Now()
		w.server.guard.sessions.ends[key] = session
	}
	if got := ask(w.server, "/", "Cookie", mine); got.Code != http.StatusUnauthorized {
		t.Errorf("after its end: %d", got.Code)
	}
}

func TestLoginIsRefused(t *testing.T) {
	w := newWorld(t, 0, Config{Token: always(testToken)})
	for _, c := range []struct {
		name   string
		answer *httptest.ResponseRecorder
		status int
	}{
		{"a wrong token", login(w.server, testToken+"x"), 401},
		{"no token", login(w.server, ""), 401},
		{"a foreign page", login(w.server, testToken, "Origin", "https://evil.example"), 403},
		{"a large form", login(w.server, strings.Repeat("x", 2*loginMost)), 405},
		{"by GET", ask(w.server, "/?token="+url.QueryEscape(testToken)), 401},
	} {
		if c.answer.Code != c.status || len(c.answer.Result().Cookies()) > 0 {
			t.Errorf("%s: %d, want %d, cookies %v", c.name, c.answer.Code, c.status, c.answer.Result().Cookies())
		}
	}
}

func TestSessionsOverTLSAreOfThisServerAlone(t *testing.T) {
	w := newWorld(t, 0, Config{Token: always(testToken)})
	r := httptest.NewRequest(
		http.MethodPost,
		"https://127.0.0.1:9099/login",
		strings.NewReader("token="+url.QueryEscape(testToken)),
	)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(got, r)
	cookie := got.Result().Cookies()[0]
	if cookie.Name != "__Host-"+cookieName || !cookie.Secure || cookie.Path != "/" || cookie.Domain != "" {
		t.Errorf("cookie %v", cookie)
	}
	if got.Header().Get("Strict-Transport-Security") == "" {
		t.Error("browsers are not told to stay with TLS")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	s, now := newSessions(), time.Now()
	for i := range 3 * sessionMost {
		s.begin(now.Add(time.Duration(i)), sum{})
	}
	if len(s.ends) > sessionMost {
		t.Errorf("%d sessions", len(s.ends))
	}
}

// TestRefusalsAreCounted: each kind of refusal has its count and a line in the log, and
// not one for each request.
func TestRefusalsAreCounted(t *testing.T) {
	var text bytes.Buffer
	w := newWorld(t, 0, Config{Token: always(testToken), Log: slog.New(slog.NewTextHandler(&text, nil))})
	for range 5 {
		ask(w.server, "/api/v1/summary")
		ask(w.server, "/api/v1/summary", "Authorization", "bearer wrong")
		ask(w.server, "/api/v1/summary", "Host", "evil.example")
		ask(w.server, "/api/v1/summary", "Origin", "https://evil.example")
	}
	_, _ = w.server.guard.refusals.Write(
		[]byte("http: TLS handshake error from 192.0.2.9:1: remote error: bad certificate\n"),
	)
	got := w.server.Refused()
	if got[refusedToken] != 10 || got[refusedHost] != 5 || got[refusedOrigin] != 5 || got[refusedTLS] != 1 ||
		got[refusedBusy] != 0 {
		t.Errorf("%v", got)
	}
	if n := strings.Count(text.String(), "msg=refused"); n != 4 {
		t.Errorf("%d lines:\n%s", n, text.String())
	}
	if strings.Contains(text.String(), testToken) || strings.Contains(text.String(), "wrong") {
		t.Errorf("the log holds what was shown:\n%s", text.String())
	}
}

// TestGuessesAreSlow: after some wrong tokens the answers take their time, and the right
// one does not.
func TestGuessesAreSlow(t *testing.T) {
	w := newWorld(t, 0, Config{Token: always(testToken)})
	w.server.guard.refusals.pause = 50 * time.Millisecond
	began := time.Now()
	for range guessesFree + 4 {
		ask(w.server, "/api/v1/summary", "Authorization", "Bearer wrong")
	}
	if took := time.Since(began); took < 4*50*time.Millisecond {
		t.Errorf("%d guesses took %v", guessesFree+4, took)
	}
	w.server.guard.refusals.pause = time.Hour
	if got := ask(w.server, "/api/v1/summary", "Authorization", "bEARER "+testToken); got.Code != http.StatusOK {
		t.Errorf("the right token: %d", got.Code)
	}
}

func TestHostsOriginsAndPaths(t *testing.T) {
	w := newWorld(t, 0, Config{Names: []string{"monitor.example"}})
	for _, c := range []struct {
		name    string
		target  string
		headers []string
		status  int
	}{
		{"an address", "/api/v1/summary", []string{"Host", "192.0.2.1:9099"}, 200},
		{"an IPv6 address", "/api/v1/summary", []string{"Host", "[2001:db8::1]:9099"}, 200},
		{"localhost", "/api/v1/summary", []string{"Host", "LOCALHOST:9099"}, 200},
		{"a listed name", "/api/v1/summary", []string{"Host", "Monitor.example:9099"}, 200},
		{"a name that was made to point here", "/api/v1/summary", []string{"Host", "rebind.evil.example:9099"}, 421},
		{"a name that begins like localhost", "/api/v1/summary", []string{"Host", "localhost.evil.example"}, 421},
		{"no name", "/api/v1/summary", []string{"Host", ""}, 421},
		{"the same origin", "/api/v1/summary", []string{"Origin", "http://127.0.0.1:9099"}, 200},
		{"another port of this host", "/api/v1/summary", []string{"Origin", "http://127.0.0.1:8080"}, 403},
		{"a foreign origin", "/api/v1/events", []string{"Origin", "https://evil.example"}, 403},
		{"no origin in particular", "/api/v1/summary", []string{"Origin", "null"}, 403},
		{"a foreign page's image", "/api/v1/summary", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
		{"a foreign page's frame", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, 403},
		{"a link from a foreign page", "/", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, 200},
		{"up the tree", "/static/../../../etc/passwd", nil, 400},
		{"up the tree, decoded", "/static/..\\..\\etc\\passwd", nil, 400},
		{"a doubled slash", "//evil.example/", nil, 400},
		{"a NUL", "/static/app.js\x00.css", nil, 400},
		{"a file that is not of the page", "/static/../guard.go", nil, 400},
		{"a folder", "/static/", nil, 404},
		{"the login page's file", "/static/login.html", nil, 404},
		{"another version of the API", "/api/v2/summary", nil, 404},
	} {
		if got := ask(w.server, c.target, c.headers...); got.Code != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, got.Code, got.Body, c.status)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "RUBBISH"} {
		if got := request(w.server, method, "/api/v1/summary"); got.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, got.Code)
		}
	}
}

func TestEveryAnswerForbidsWhatThePageDoesNotNeed(t *testing.T) {
	w := newWorld(t, 0, Config{Token: always(testToken)})
	for _, target := range []string{"/", "/static/app.js", "/api/v1/summary", "/nothing", "/healthz", "/a//b"} {
		for _, headers := range [][]string{nil, {"Authorization", "Bearer " + testToken}} {
			h := ask(w.server, target, headers...).Header()
			policy := h.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "connect-src 'self'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("%s: policy %q lacks %q", target, policy, part)
				}
			}
			if strings.Contains(policy, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" ||
				h.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%s: %v", target, h)
			}
			if h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: other origins may read", target)
			}
		}
	}
}

// TestPageUsesNoMarkupFromStrings looks for the ways in which a foreign string
// could become markup or script.
func TestPageUsesNoMarkupFromStrings(t *testing.T) {
	for _, f := range pageFiles() {
		text := string(f.content)
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "http://", "https://", "style=\"", "onclick=\"", "javascript:"} {
			text := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q", f.path, bad)
			}
		}
		if f.kind == "" {
			t.Errorf("%s has no content type", f.path)
		}
	}
}
