package web

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/internal/story"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// details is one connection with all that is known of it.
type details struct {
	Connection     json.RawMessage   `json:"connection"`
	Instance       uint32            `json:"instance"`
	Epoch          string            `json:"epoch"` // of the server's run: samples of another have other indices
	Ended          *ending           `json:"ended"` // null: it lives
	History        []json.RawMessage `json:"history"`
	ClosedSubflows []closedSubflow   `json:"closed_subflows"`
	Story          json.RawMessage   `json:"story"` // as [story.Story] has it
	Samples        sampled           `json:"samples"`
	Time           time.Time         `json:"time"`             // of all this
	Replay         string            `json:"replay,omitempty"` // the recording that it is of: time stands still
}

type ending struct {
	Time time.Time `json:"time"`
	How  track.How `json:"how"`
}

type closedSubflow struct {
	mptcp.Subflow
	Time  time.Time       `json:"time"`
	Event json.RawMessage `json:"event,omitempty"` // SF_CLOSED, where there was one
}

func (s *Server) serveConnection(w http.ResponseWriter, r *http.Request) {
	netns := r.PathValue("netns")
	if netns == "-" {
		netns = ""
	}
	token, err := mptcp.ParseToken(r.PathValue("token"))
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	state := s.config.Tracker.State()
	key, ok := find(state, netns, token, r.URL.Query().Get("instance"))
	if !ok && len(state.Namespaces()) == 0 {
		busy(w, "the kernel has not been read yet") // a page asks again that was open before a restart
		return
	}
	if !ok {
		fail(w, http.StatusNotFound, "there is no connection with token "+token.String()+", and none ended recently")
		return
	}
	after, err := number(r, "samples_after", 0, math.MaxInt64)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	s.samples.watch(key, time.Now())
	facts, ok := story.Gather(state, key, state.Time())
	if !ok {
		fail(w, http.StatusNotFound, "the connection is no longer kept")
		return
	}
	d, err := s.details(key, facts, after)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, http.StatusOK, d)
}

// find returns the connection that has the token now, else the one that had it
// last; with an instance that one.
func find(s *track.State, netns string, token mptcp.Token, instance string) (k mptcp.Key, ok bool) {
	t, live := s.Find(netns, token)
	if live && (instance == "" || instance == strconv.FormatUint(uint64(t.Key.Instance), 10)) {
		return t.Key, true
	}
	for e := range s.Ended() {
		same := e.Key.Netns == netns && e.Key.Token == token
		if same && (instance == "" || instance == strconv.FormatUint(uint64(e.Key.Instance), 10)) {
			k, ok = e.Key, true
		}
	}
	return k, ok
}

func (s *Server) details(k mptcp.Key, facts *story.Facts, after int64) (*details, error) {
	told, err := json.Marshal(story.Tell(facts))
	if err != nil {
		return nil, err
	}
	d := &details{
		Connection: present.AppendConnection(nil, &facts.Connection), Instance: k.Instance, Epoch: s.journal.epoch,
		History: []json.RawMessage{}, ClosedSubflows: []closedSubflow{}, Samples: s.samples.of(k, after),
		Story: told, Time: facts.Now.UTC(), Replay: s.config.Replay,
	}
	if end := facts.Ended; end != nil {
		d.Ended = &ending{end.At.UTC(), end.How}
	}
	format := &present.EventJSON{}
	if s.config.Device != nil {
		format.Device = func(index int32) string { return s.config.Device(k.Netns, index) }
	}
	for _, delta := range facts.History {
		d.History = append(d.History, appendDelta(nil, format, &delta))
	}
	for _, closed := range facts.Closed {
		row := closedSubflow{Subflow: closed.Subflow, Time: closed.At.UTC()}
		if closed.Event.Type != 0 {
			row.Event = format.Append(nil, &closed.Event)
		}
		d.ClosedSubflows = append(d.ClosedSubflows, row)
	}
	return d, nil
}
