package web

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

const testToken = "correct horse battery staple"

func TestOnlyLoopbackIsOpenToAll(t *testing.T) {
	for _, c := range []struct {
		address, token string
		certificates   bool
		refused        bool
	}{
		{"127.0.0.1", "", false, false},
		{"::1", "", false, false},
		{"0.0.0.0", "", false, true},
		{"::", "", false, true},
		{"192.0.2.1", "", false, true},
		{"192.0.2.1", testToken, false, false},
		{"192.0.2.1", "", true, false},
		{"192.0.2.1", "short", true, true},
		{"127.0.0.1", "short", false, true},
	} {
		err := CheckExposure(netip.MustParseAddr(c.address), []byte(c.token), c.certificates)
		if (err != nil) != c.refused {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t, 0, Config{Token: []byte(testToken)})
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

func TestTokenInTheAddressBecomesACookie(t *testing.T) {
	w := newWorld(t, 0, Config{Token: []byte(testToken)})
	got := ask(w.server, "/?token="+strings.ReplaceAll(testToken, " ", "+"))
	if got.Code != http.StatusSeeOther || got.Header().Get("Location") != "/" {
		t.Fatalf("%d to %q", got.Code, got.Header().Get("Location"))
	}
	cookie := got.Result().Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Value == testToken {
		t.Errorf("cookie %v", cookie)
	}
	for _, server := range []*Server{w.server, newWorld(t, 0, Config{Token: []byte(testToken)}).server} { // also after a restart
		if got := ask(server, "/", "Cookie", cookie.Name+"="+cookie.Value); got.Code != http.StatusOK {
			t.Errorf("with the cookie: %d", got.Code)
		}
	}
	other := newWorld(t, 0, Config{Token: []byte(testToken + "2")})
	if got := ask(other.server, "/", "Cookie", cookie.Name+"="+cookie.Value); got.Code != http.StatusUnauthorized {
		t.Errorf("the cookie of another token: %d", got.Code)
	}
	if got := ask(w.server, "/?token=wrong"); got.Code != http.StatusUnauthorized || len(got.Result().Cookies()) > 0 {
		t.Errorf("a wrong token: %d %v", got.Code, got.Result().Cookies())
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
	w := newWorld(t, 0, Config{Token: []byte(testToken)})
	for _, target := range []string{"/", "/static/app.js", "/api/v1/summary", "/nothing", "/healthz", "/a//b"} {
		for _, headers := range [][]string{nil, {"Authorization", "Bearer " + testToken}} {
			h := ask(w.server, target, headers...).Header()
			policy := h.Get("Content-Security-Policy")
			for _, part := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "connect-src 'self'"} {
				if !strings.Contains(policy, part) {
					t.Errorf("%s: policy %q lacks %q", target, policy, part)
				}
			}
			if strings.Contains(policy, "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" {
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
