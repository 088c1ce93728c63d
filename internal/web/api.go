package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"mptcpctl/counters"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// maxFilter is how long a filter may be, in bytes.
const maxFilter = 2000

// parseFilter reads the parameter filter. The error is for the client.
func parseFilter(r *http.Request) (*filter.Expr, error) {
	text := r.URL.Query().Get("filter")
	if len(text) > maxFilter {
		return nil, fmt.Errorf("the filter is longer than %d bytes", maxFilter)
	}
	return filter.Parse(text)
}

// number reads a parameter that is a number.
func number(r *http.Request, name string, fallback, most int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s %q: want a number from 0 to %d", name, text, most)
	}
	return n, nil
}

// summary is what the overview shows.
type summary struct {
	Time             time.Time      `json:"time"`
	Version          string         `json:"version"`
	Started          time.Time      `json:"started"`
	Epoch            string         `json:"epoch"`
	EventsAvailable  bool           `json:"events_available"`
	EventsReason     string         `json:"events_reason,omitempty"`
	Error            string         `json:"error,omitempty"` // why the kernel could not be read lately
	Connections      int            `json:"connections"`
	Fallbacks        int            `json:"fallbacks"`
	Subflows         int            `json:"subflows"`
	ByState          map[string]int `json:"by_state"`
	BySide           map[string]int `json:"by_side"`
	SubflowsByState  map[string]int `json:"subflows_by_state"`
	Events           uint64         `json:"events"`
	EventsLost       uint64         `json:"events_lost"`
	Generation       uint64         `json:"generation"`
	EventsPerSecond  []int          `json:"events_per_second"` // of the last minute, oldest first
	Namespaces       []string       `json:"namespaces"`
	OpenStreams      int            `json:"open_streams"`
	OpenConnections  int            `json:"open_http_connections"`
	LastEvent        string         `json:"last_event"`
	DoctorAvailable  bool           `json:"doctor_available"`
	MetricsAvailable bool           `json:"metrics_available"`
	Replay           string         `json:"replay,omitempty"` // the recording that is shown
	Session          bool           `json:"session"`          // the browser has one, and can end it
}

func (s *Server) serveSummary(w http.ResponseWriter, r *http.Request) {
	state := s.config.Tracker.State()
	counts := state.Counts()
	v := summary{
		Time: state.Time().
			UTC(),
		Replay: s.config.Replay, Version: s.config.Version, Started: s.started.UTC(), Epoch: s.journal.epoch,
		EventsAvailable: s.config.NoEvents == "", EventsReason: s.config.NoEvents,
		Connections: counts.Connections, Fallbacks: counts.Fallbacks, Subflows: counts.Subflows,
		ByState: map[string]int{}, BySide: map[string]int{}, SubflowsByState: map[string]int{},
		Events: state.Events(), EventsLost: state.Lost(), Generation: state.Generation(),
		EventsPerSecond: s.journal.rate(), Namespaces: []string{},
		OpenStreams: s.streams.count(), OpenConnections: s.doors.count(),
		LastEvent:       fmt.Sprintf("%s-%d", s.journal.epoch, s.journal.last()),
		DoctorAvailable: s.config.Findings != nil, MetricsAvailable: s.config.Metrics != nil,
		Session: s.guard.inSession(r),
	}
	if err := state.Err(); err != nil {
		v.Error = err.Error()
	}
	count(v.ByState, counts.ByState[:], func(i int) string { return mptcp.SocketState(i).String() })
	count(v.BySide, counts.BySide[:], func(i int) string { return mptcp.Side(i).String() })
	count(v.SubflowsByState, counts.SubflowsByState[:], func(i int) string { return mptcp.SubflowState(i).String() })
	for _, n := range state.Namespaces() {
		v.Namespaces = append(v.Namespaces, n.Netns)
	}
	reply(w, http.StatusOK, v)
}

// count puts the numbers that are not zero under their names.
func count(into map[string]int, numbers []int, name func(int) string) {
	for i, n := range numbers {
		if n > 0 {
			into[name(i)] += n
		}
	}
}

// page is a part of the list of connections, up to its rows.
type page struct {
	Total  int       `json:"total"` // of those that match
	Offset int       `json:"offset"`
	Time   time.Time `json:"time"`
}

func (s *Server) serveConnections(w http.ResponseWriter, r *http.Request) {
	expr, err := parseFilter(r)
	if err != nil {
		failFilter(w, err)
		return
	}
	if expr.NeedsEvents() {
		fail(w, http.StatusBadRequest, "the filter uses words that apply only to events")
		return
	}
	limit, err1 := number(r, "limit", 100, 1000)
	skipped, err2 := number(r, "offset", 0, 1<<30)
	if err := errors.Join(err1, err2); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	form := r.URL.Query().Get("form")
	if form != "" && form != "row" {
		fail(w, http.StatusBadRequest, `form: want row, or nothing for all keys`)
		return
	}
	v := s.view()
	places := v.matching(expr)
	if column := r.URL.Query().Get("sort"); column != "" && column != "local" {
		if places, err = v.order(places, column); err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	first := min(int(skipped), len(places))
	// A copy: the rest of the list is not held while a few rows of it are sent.
	shown := slices.Clone(places[first:min(first+int(limit), len(places))])
	write := present.AppendConnection
	if form == "row" {
		write = appendRow
	}
	sendRows(w, v, page{len(places), int(skipped), v.state.Time().UTC()}, shown, write)
}

// rowsChunk is how much of a list is made before it is sent.
const rowsChunk = 8 << 10

// sendRows sends a page with its rows, few of which are in memory at any time.
func sendRows(
	w http.ResponseWriter, v *view, p page, shown []track.Place, write func([]byte, *mptcp.Connection) []byte,
) {
	head, err := json.Marshal(p)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	if a, ok := w.(*answer); ok {
		defer a.posted(outboxRows, v.number)()
	}
	w.Header().Set("Content-Type", "application/json")
	b := append(head[:len(head)-1], `,"connections":[`...)
	rows := v.state.Reader()
	for i, place := range shown {
		if i > 0 {
			b = append(b, ',')
		}
		b = write(b, &rows.At(place).Connection)
		if len(b) < rowsChunk {
			continue
		}
		if _, err := w.Write(b); err != nil {
			return // the client is gone, or was cut off
		}
		b = b[:0]
	}
	_, _ = w.Write(append(b, "]}\n"...))
}

// namespaceEndpoints are the endpoints of a namespace, as `endpoint show -j`
// prints them, with how many connections have a subflow from each.
type namespaceEndpoints struct {
	Netns       string          `json:"netns"`
	PathManager string          `json:"path_manager"`
	Endpoints   json.RawMessage `json:"endpoints"`
	Connections map[string]int  `json:"connections"` // by endpoint id
}

func (s *Server) serveEndpoints(w http.ResponseWriter, _ *http.Request) {
	state := s.config.Tracker.State()
	used := using(state)
	list := []namespaceEndpoints{}
	for _, n := range state.Namespaces() {
		format := present.EndpointJSON{Device: func(index int32) string { return linkName(&n, index) }}
		list = append(list, namespaceEndpoints{
			Netns: n.Netns, PathManager: n.PathManager,
			Endpoints: bytes.TrimSpace(format.Append(nil, n.Endpoints)), Connections: used[n.Netns],
		})
	}
	reply(w, http.StatusOK, list)
}

func linkName(n *track.Snapshot, index int32) string {
	for _, l := range n.Links {
		if int64(l.Index) == int64(index) {
			return l.Name
		}
	}
	return "if" + strconv.Itoa(int(index))
}

// using counts, for each namespace, the connections with a subflow from the address of
// each endpoint, by its id.
func using(state *track.State) map[string]map[string]int {
	counts := make(map[string]map[string]int)
	endpoints := make(map[string][]mptcp.Endpoint)
	for _, n := range state.Namespaces() {
		endpoints[n.Netns], counts[n.Netns] = n.Endpoints, make(map[string]int, len(n.Endpoints))
		for i := range n.Endpoints {
			counts[n.Netns][strconv.Itoa(int(n.Endpoints[i].ID))] = 0
		}
	}
	for t := range state.Since(nil) {
		for i, list := 0, endpoints[t.Key.Netns]; i < len(list); i++ {
			if t.Connection.SubflowFrom(list[i].Address) != nil {
				counts[t.Key.Netns][strconv.Itoa(int(list[i].ID))]++
			}
		}
	}
	return counts
}

// namespaceLimits are the limits of a namespace, as `limits show -j` prints them.
type namespaceLimits struct {
	Netns string `json:"netns"`
	mptcp.Limits
}

func (s *Server) serveLimits(w http.ResponseWriter, _ *http.Request) {
	list := []namespaceLimits{}
	for _, n := range s.config.Tracker.State().Namespaces() {
		list = append(list, namespaceLimits{n.Netns, n.Limits})
	}
	reply(w, http.StatusOK, list)
}

// namespaceCounters are the counters of a namespace, as `counters -j` prints them.
type namespaceCounters struct {
	Netns    string            `json:"netns"`
	Counters []present.Counter `json:"counters"`
}

func (s *Server) serveCounters(w http.ResponseWriter, _ *http.Request) {
	state := s.config.Tracker.State()
	list := []namespaceCounters{}
	for _, n := range state.Namespaces() {
		values := counters.FromMap(state.Counters(n.Netns))
		list = append(list, namespaceCounters{n.Netns, present.CounterObjects(values)})
	}
	reply(w, http.StatusOK, list)
}

// findingsAge is how old the findings may be that clients share, and findingsRest how long
// at most there are no new ones after failures in a row.
const (
	findingsAge  = 5 * time.Second
	findingsRest = 2 * time.Minute
)

// findings are what doctor found last.
type findings struct {
	mu       sync.Mutex
	due      time.Time // when the next ones are made
	failures int       // in a row
	value    any
	err      error
}

func (s *Server) serveFindings(w http.ResponseWriter, r *http.Request) {
	if s.config.Findings == nil {
		fail(w, http.StatusNotFound, "this server runs without doctor")
		return
	}
	value, again, err := s.findings.get(r.Context(), s.config.Findings)
	if err != nil {
		w.Header().Set("Retry-After", strconv.Itoa(1+int(again/time.Second)))
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	reply(w, http.StatusOK, value)
}

// get returns the findings, and has new ones made where they are too old. After failures
// that takes longer each time: doctor would otherwise do nothing but fail on a host that
// is too busy for it. One client's leaving must not spoil them for the others.
func (f *findings) get(
	ctx context.Context, find func(context.Context) (any, error),
) (v any, again time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); !now.Before(f.due) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		f.value, f.err = find(ctx)
		pause := findingsAge
		if f.err == nil {
			f.failures = 0
		} else {
			pause = min(findingsAge<<min(f.failures+1, 10), findingsRest)
			f.failures++
		}
		f.due = time.Now().Add(pause)
	}
	return f.value, max(time.Until(f.due), 0), f.err
}
