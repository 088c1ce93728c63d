package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/traffic"
	"mptcpctl/mptcp"
)

// ask sends a request to the handler as a client on this host does.
func ask(s *Server, target string, headers ...string) *httptest.ResponseRecorder {
	return request(s, http.MethodGet, target, headers...)
}

func request(s *Server, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:9099/", nil)
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(target, "?")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	return w
}

func decode[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func doctorReport(context.Context) (any, error) {
	return json.RawMessage(
		`{"schema":1,"verdict":"warning","findings":[{"rule":"D1","severity":"warn","confidence":"likely","title":"t","subject":{},"evidence":["e"],"fix":["f"]}],"connections":[]}`,
	), nil
}

func metrics(w io.Writer) error { _, err := io.WriteString(w, "mptcp_x 1\n"); return err }

func TestConnectionsAreFilteredSortedAndPaged(t *testing.T) {
	w := newWorld(t, 250, Config{})
	type list struct {
		Total, Offset int
		Connections   []struct{ Token, Local string }
	}
	all := decode[list](t, ask(w.server, "/api/v1/connections"))
	if all.Total != 250 || len(all.Connections) != 100 {
		t.Errorf("total %d with %d rows, want 250 with 100", all.Total, len(all.Connections))
	}
	part := decode[list](t, ask(w.server, "/api/v1/connections?offset=240&limit=50"))
	if part.Total != 250 || part.Offset != 240 || len(part.Connections) != 10 {
		t.Errorf("the end: %d from %d with %d rows", part.Total, part.Offset, len(part.Connections))
	}
	one := decode[list](t, ask(w.server, "/api/v1/connections?filter=token+1005+or+sport+10006&sort=-token"))
	if one.Total != 2 || one.Connections[0].Token != "00001006" || one.Connections[1].Token != "00001005" {
		t.Errorf("filtered and sorted: %+v", one)
	}
	if beyond := decode[list](t, ask(w.server, "/api/v1/connections?offset=1000")); beyond.Total != 250 ||
		len(beyond.Connections) != 0 {
		t.Errorf("beyond the end: %+v", beyond)
	}
}

func TestMalformedQuestionsGetClearAnswers(t *testing.T) {
	w := newWorld(t, 1, Config{})
	for target, want := range map[string]string{
		"/api/v1/connections?filter=dport+%3D":                      `"expected"`,
		"/api/v1/connections?filter=" + strings.Repeat("(", 1900):   "error",
		"/api/v1/connections?filter=" + strings.Repeat("not+", 600): "longer than",
		"/api/v1/connections?filter=%00%FF%3Cscript%3E":             "error",
		"/api/v1/connections?limit=1001":                            "want a number from 0 to 1000",
		"/api/v1/connections?offset=-1":                             "want a number",
		"/api/v1/connections?limit=99999999999999999999":            "want a number",
		"/api/v1/connections?sort=rubbish":                          "want local",
		"/api/v1/connections/-/xyz":                                 "error",
		"/api/v1/connections/-/1000?samples_after=x":                "want a number",
		"/api/v1/events?after=rubbish":                              "not valid",
		"/api/v1/events?filter=%3C%3C":                              `"expected"`,
	} {
		got := ask(w.server, target)
		if got.Code != http.StatusBadRequest || !strings.Contains(got.Body.String(), want) {
			t.Errorf("%.60s: %d %.200s, want 400 with %q", target, got.Code, got.Body, want)
		}
		if kind := got.Header().Get("Content-Type"); kind != "application/json" {
			t.Errorf("%.60s: %s", target, kind)
		}
	}
}

func TestConnectionWithItsHistory(t *testing.T) {
	w := newWorld(t, 2, Config{})
	w.batches <- []mptcp.Event{w.prio(1)}
	await.True(t, "the event", func() bool { return w.tracker.State().Events() == 1 })
	got := decode[details](t, ask(w.server, "/api/v1/connections/-/00001001"))
	if len(got.History) != 1 || !strings.HasPrefix(string(got.History[0]), `{"event":"SF_PRIO","token":"00001001"`) {
		t.Errorf("history %s", got.History)
	}
	if got.Ended != nil || !strings.Contains(string(got.Connection), `"token":"00001001"`) {
		t.Errorf("%s %v", got.Connection, got.Ended)
	}
	await.True(t, "two samples", func() bool {
		d := decode[details](t, ask(w.server, "/api/v1/connections/-/00001001"))
		return len(d.Samples.Points) >= 2 && len(d.Samples.Subflows) == 2 && len(d.Samples.Points[0].Figures) == 2 &&
			d.Samples.Points[0].Figures[1].RTT > 0
	})
	if gone := ask(w.server, "/api/v1/connections/-/deadbeef"); gone.Code != http.StatusNotFound {
		t.Errorf("a token that nobody has: %d", gone.Code)
	}
}

// TestMapAndTraffic: what the overview draws, with a filter for whatever is clicked on, which
// picks the connections that the map counts.
func TestMapAndTraffic(t *testing.T) {
	w := newWorld(t, 3, Config{})
	type mapOf struct {
		Devices       []struct{ Name string }
		Peers         []struct{ Connections int }
		DeviceFilters []string `json:"device_filters"`
		PeerFilters   []string `json:"peer_filters"`
	}
	for _, by := range []string{"", "address", "prefix", "process"} {
		m := decode[mapOf](t, ask(w.server, "/api/v1/map?by="+by))
		if len(m.Devices) != 2 || m.Devices[1].Name != "wlan<0>" || len(m.PeerFilters) != len(m.Peers) {
			t.Fatalf("%s: %+v", by, m)
		}
		for i, f := range append(m.DeviceFilters, m.PeerFilters[0]) {
			if by == "process" && i == len(m.DeviceFilters) {
				continue // no process is known
			}
			p := decode[page](t, ask(w.server, "/api/v1/connections?limit=0&filter="+url.QueryEscape(f)))
			if p.Total != 3 {
				t.Errorf("%s: %q picks %d connections", by, f, p.Total)
			}
		}
	}
	if r := ask(w.server, "/api/v1/map?by=moon"); r.Code != http.StatusBadRequest {
		t.Error(r.Code)
	}
	s := decode[traffic.Series](t, ask(w.server, "/api/v1/traffic"))
	if len(s.Points) == 0 {
		t.Fatal("there are no points")
	}
	last := s.Points[len(s.Points)-1].Time
	later := fmt.Sprintf("/api/v1/traffic?after=%d", last+3_600_000)
	if s := decode[traffic.Series](t, ask(w.server, later)); len(s.Points) != 0 {
		t.Errorf("%d points of the future", len(s.Points))
	}
}

// TestRowsAreShort: what the page's table asks for each second has what it shows, in less than
// a third of the bytes.
func TestRowsAreShort(t *testing.T) {
	w := newWorld(t, 50, Config{})
	all, short := ask(w.server, "/api/v1/connections"), ask(w.server, "/api/v1/connections?form=row&sort=-bytes")
	rows := decode[struct{ Connections []row }](t, short).Connections
	if len(rows) != 50 || rows[0].Subflows != 2 || rows[0].Carried != 1700 || rows[0].State != mptcp.StateEstablished {
		t.Errorf("%+v", rows)
	}
	if n := short.Body.Len(); n > 15_000 || n > all.Body.Len()/3 {
		t.Errorf("%d bytes, and %d with all keys", n, all.Body.Len())
	}
	if r := ask(w.server, "/api/v1/connections?form=cloud"); r.Code != http.StatusBadRequest {
		t.Error(r.Code)
	}
}

func TestReadyOnlyOnceTheKernelWasRead(t *testing.T) {
	w := newWorld(t, 0, Config{})
	if got := ask(w.server, "/readyz"); got.Code != http.StatusOK {
		t.Errorf("ready: %d %s", got.Code, got.Body)
	}
	idle := New(Config{Tracker: newIdleTracker()})
	if got := ask(idle, "/readyz"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("before the first state: %d", got.Code)
	}
	if got := ask(idle, "/api/v1/connections/-/00001001"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("a connection before the first state: %d", got.Code)
	}
	if got := ask(idle, "/healthz"); got.Code != http.StatusOK {
		t.Errorf("healthy before the first state: %d", got.Code)
	}
}

// TestDescriptionHoldsAgainstTheHandlers asks for every documented path, and looks
// for every status and every key that the description promises.
func TestDescriptionHoldsAgainstTheHandlers(t *testing.T) {
	w := newWorld(t, 3, Config{Findings: doctorReport, Metrics: metrics, Token: always("a token of some length")})
	w.batches <- []mptcp.Event{w.prio(1)}
	await.True(t, "the event", func() bool { return w.tracker.State().Events() == 1 })
	var description struct {
		Paths map[string]struct {
			Get struct {
				Responses map[string]struct {
					Content map[string]struct{ Schema map[string]any }
				}
				Security *[]any
			}
		}
		Components struct{ Schemas map[string]map[string]any }
	}
	if err := json.Unmarshal(mustRead("openapi.json"), &description); err != nil {
		t.Fatal(err)
	}
	check := schemaCheck{description.Components.Schemas}
	var served []string
	for _, r := range w.server.routes() {
		served = append(served, r.pattern)
		path, documented := description.Paths[r.pattern]
		if !documented {
			t.Errorf("%s is served and not described", r.pattern)
			continue
		}
		if r.public != (path.Get.Security != nil) {
			t.Errorf("%s: public %v, and the description says otherwise", r.pattern, r.public)
		}
		statuses := map[string]bool{}
		for status, got := range provoke(w, r.pattern) {
			statuses[status] = true
			response, ok := path.Get.Responses[status]
			if !ok {
				t.Errorf("%s answers %s, which is not described", r.pattern, status)
				continue
			}
			for kind, content := range response.Content {
				if !strings.HasPrefix(got.Header().Get("Content-Type"), kind) {
					t.Errorf("%s %s: %s, described as %s", r.pattern, status, got.Header().Get("Content-Type"), kind)
				}
				if kind != "application/json" {
					continue
				}
				var value any
				if err := json.Unmarshal(got.Body.Bytes(), &value); err != nil {
					t.Errorf("%s %s: %v", r.pattern, status, err)
				}
				if err := check.value(content.Schema, value, r.pattern); err != nil {
					t.Errorf("%s %s: %v", r.pattern, status, err)
				}
			}
		}
		for status := range path.Get.Responses {
			if !statuses[status] && status != "500" { // which no request can bring about
				t.Errorf("%s: the described status %s could not be provoked", r.pattern, status)
			}
		}
	}
	for path := range description.Paths {
		if !slices.Contains(served, path) {
			t.Errorf("%s is described and not served", path)
		}
	}
}

// provoke asks for a path in every way that has an answer of its own.
func provoke(w *world, pattern string) map[string]*httptest.ResponseRecorder {
	target := strings.NewReplacer("{netns}", "-", "{token}", "00001001").Replace(pattern)
	proof := []string{"Authorization", "Bearer a token of some length"}
	got := map[string]*httptest.ResponseRecorder{}
	note := func(r *httptest.ResponseRecorder) { got[fmt.Sprint(r.Code)] = r }
	method := http.MethodGet
	if pattern == "/api/v1/events" {
		method = http.MethodHead // a stream has no end
	}
	note(request(w.server, method, target, proof...))
	note(request(w.server, method, strings.Replace(target, "00001001", "deadbeef", 1), proof...))
	note(request(w.server, method, target))
	note(request(w.server, http.MethodPost, target, proof...))
	note(request(w.server, method, target, append(proof, "Host", "evil.example")...))
	note(request(w.server, method, target, append(proof, "Origin", "http://evil.example")...))
	note(ask(w.server, "/."+target, proof...))
	body := httptest.NewRequest(http.MethodGet, "http://127.0.0.1"+target, strings.NewReader("body"))
	answer := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(answer, body)
	note(answer)
	idle := New(Config{Tracker: newIdleTracker()})
	without := request(idle, method, target)
	if without.Code != http.StatusOK {
		note(without)
	}
	broken := New(Config{
		Tracker: newIdleTracker(), Streams: 1, Metrics: func(io.Writer) error { return errors.New("no metrics now") },
		Findings: func(context.Context) (any, error) { return nil, errors.New("no findings now") },
	})
	broken.streams.enter(netip.Addr{})
	if r := request(broken, method, target); r.Code != http.StatusOK {
		note(r)
	}
	full := New(Config{Tracker: newIdleTracker()})
	for i := range gateRunning + gateWaiting {
		full.gate.register(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
	}
	if r := request(full, method, target); r.Code == http.StatusServiceUnavailable {
		note(r)
	}
	return got
}

// schemaCheck holds values against the schemas of the description: types, required
// keys, and that there is no key that is not described.
type schemaCheck struct{ named map[string]map[string]any }

func (c schemaCheck) value(schema map[string]any, v any, where string) error {
	if name, ok := schema["$ref"].(string); ok {
		return c.value(c.named[strings.TrimPrefix(name, "#/components/schemas/")], v, where)
	}
	if choices, ok := schema["anyOf"].([]any); ok {
		var errs []error
		for _, one := range choices {
			err := c.value(one.(map[string]any), v, where)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	switch v := v.(type) {
	case map[string]any:
		if schema["type"] != "object" {
			return fmt.Errorf("%s: an object, described as %v", where, schema["type"])
		}
		return c.object(schema, v, where)
	case []any:
		if schema["type"] != "array" {
			return fmt.Errorf("%s: an array, described as %v", where, schema["type"])
		}
		for i, one := range v {
			if err := c.value(schema["items"].(map[string]any), one, fmt.Sprintf("%s[%d]", where, i)); err != nil {
				return err
			}
		}
		return nil
	}
	want := map[bool]string{true: "null"}[v == nil]
	switch v.(type) {
	case string:
		want = "string"
	case bool:
		want = "boolean"
	case float64:
		want = "number"
	}
	if kind := schema["type"]; kind != want && (kind != "integer" || want != "number") {
		return fmt.Errorf("%s: %v, described as %v", where, v, kind)
	}
	return nil
}

func (c schemaCheck) object(schema map[string]any, v map[string]any, where string) error {
	required, _ := schema["required"].([]any)
	for _, key := range required {
		if _, ok := v[key.(string)]; !ok {
			return fmt.Errorf("%s: the key %q is missing", where, key)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for key, value := range v {
		property, ok := properties[key].(map[string]any)
		if !ok {
			property, ok = schema["additionalProperties"].(map[string]any)
		}
		if !ok {
			continue // keys may be added
		}
		if err := c.value(property, value, where+"."+key); err != nil {
			return err
		}
	}
	return nil
}
