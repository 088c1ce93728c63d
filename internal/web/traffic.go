package web

import (
	"math"
	"net/http"
	"time"

	"mptcpctl/internal/filter"
	"mptcpctl/internal/traffic"
	"mptcpctl/track"
)

// measure takes the state into account in what the devices carry.
func (s *Server) measure(now time.Time, state *track.State) {
	if at, known := traffic.FiguresAt(state, state.Len() <= samplesMost/2); known {
		s.traffic.Add(now, at, state)
	}
}

// mapped is a map with what the page asks for when somebody follows it.
type mapped struct {
	*traffic.Map
	DeviceFilters []string `json:"device_filters"` // the connections of each device
	PeerFilters   []string `json:"peer_filters"`   // those of each peer; "" where no filter names them
}

func (s *Server) serveMap(w http.ResponseWriter, r *http.Request) {
	by, ok := traffic.ParseBy(r.URL.Query().Get("by"))
	if !ok {
		fail(w, http.StatusBadRequest, "by: want address, prefix or process")
		return
	}
	m := s.traffic.Map(by)
	if m == nil { // somebody asks before the first second is over
		s.measure(time.Now(), s.config.Tracker.State())
		m = s.traffic.Map(by)
	}
	if m == nil {
		busy(w, "the kernel has not been read yet")
		return
	}
	v := mapped{m, make([]string, 0, len(m.Devices)), make([]string, 0, len(m.Peers))}
	for i := range m.Devices {
		v.DeviceFilters = append(v.DeviceFilters, filterOf("dev", m.Devices[i].Name, m.Devices[i].Netns))
	}
	word := map[traffic.By]string{traffic.ByAddress: "dst", traffic.ByPrefix: "dst", traffic.ByProcess: "process"}[by]
	for i := range m.Peers {
		v.PeerFilters = append(v.PeerFilters, filterOf(word, m.Peers[i].Name, m.Peers[i].Netns))
	}
	reply(w, http.StatusOK, v)
}

// filterOf returns the filter for a word with a value, in a network namespace; "" where the
// language has none for it.
func filterOf(word, value, netns string) string {
	if value == "" {
		return ""
	}
	text := word + " " + filter.Quote(value)
	if netns != "" {
		text += " and netns " + filter.Quote(netns)
	}
	if _, err := filter.Parse(text); err != nil {
		return ""
	}
	return text
}

func (s *Server) serveTraffic(w http.ResponseWriter, r *http.Request) {
	after, err := number(r, "after", 0, math.MaxInt64)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	reply(w, http.StatusOK, s.traffic.Series(after))
}
