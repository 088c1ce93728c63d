package web

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"net/http"
	"path"
	"time"

	"mptcpctl/internal/filter"
	"mptcpctl/internal/present"
)

//go:embed assets openapi.json
var files embed.FS

// route is a path that is answered.
type route struct {
	pattern string
	serve   http.HandlerFunc
	public  bool // for everybody: says nothing of connections
	cheap   bool // the answer takes neither work nor memory, or has a bound of its own
}

// routes returns all that is answered below /api/, and what monitoring asks for.
// The description in openapi.json has the same paths; a test sees to it.
func (s *Server) routes() []route {
	return []route{
		{"/healthz", s.serveHealth, true, true}, {"/readyz", s.serveReady, true, true},
		{"/metrics", s.serveMetrics, false, false}, {"/api/v1/openapi.json", serveDescription, false, true},
		{"/api/v1/summary", s.serveSummary, false, false},
		{"/api/v1/connections", s.serveConnections, false, false},
		{"/api/v1/connections/{netns}/{token}", s.serveConnection, false, false},
		{"/api/v1/events", s.serveEvents, false, true}, {"/api/v1/endpoints", s.serveEndpoints, false, false},
		{"/api/v1/limits", s.serveLimits, false, false}, {"/api/v1/counters", s.serveCounters, false, false},
		{"/api/v1/map", s.serveMap, false, false}, {"/api/v1/traffic", s.serveTraffic, false, false},
		{"/api/v1/findings", s.serveFindings, false, false},
	}
}

// Handler returns the handler of everything.
func (s *Server) Handler() http.Handler {
	guarded, all := http.NewServeMux(), http.NewServeMux()
	for _, r := range s.routes() {
		if !r.cheap {
			r.serve = s.costly(r.serve)
		}
		if r.public {
			all.HandleFunc(r.pattern, r.serve)
		} else {
			guarded.HandleFunc(r.pattern, r.serve)
		}
	}
	for _, a := range pageFiles() {
		guarded.HandleFunc(a.path, a.serve)
	}
	guarded.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "there is nothing here: see /api/v1/openapi.json")
	})
	all.HandleFunc("POST "+logoutPath, s.guard.logout)
	all.Handle("/", s.guard.admit(guarded))
	return s.guard.bodiless(plain(all))
}

// pageFile is a file of the page.
type pageFile struct {
	path, kind string
	content    []byte
}

func (f pageFile) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", f.kind)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}

// pageFiles returns the files of the page, each under its own name.
func pageFiles() []pageFile {
	kinds := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
		".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
	entries, err := files.ReadDir("assets")
	if err != nil {
		panic(err) // they are part of the program
	}
	var all []pageFile
	for _, entry := range entries {
		name := entry.Name()
		f := pageFile{"/static/" + name, kinds[path.Ext(name)], mustRead("assets/" + name)}
		switch name {
		case "index.html":
			f.path = "/{$}"
		case "login.html":
			continue
		}
		all = append(all, f)
	}
	return all
}

func mustRead(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return b
}

func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := s.Ready(); err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	reply(w, http.StatusOK, map[string]string{"status": "ready"})
}

func serveDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	send(w, mustRead("openapi.json"))
}

// reply answers with a value as JSON.
func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	send(w, append(present.EscapeJSON(b), '\n'))
}

// send writes the end of an answer. An error tells that the client is gone, which
// is nothing to do anything about.
func send(w http.ResponseWriter, b []byte) {
	if a, ok := w.(*answer); ok {
		defer a.posted(int64(len(b)), 0)()
	}
	_, _ = w.Write(b)
}

// failure is the JSON of an answer that is none.
type failure struct {
	Error    string   `json:"error"`
	Word     string   `json:"word,omitempty"`     // of a filter: the bad word
	Offset   *int     `json:"offset,omitempty"`   // where it begins
	Expected []string `json:"expected,omitempty"` // what could stand there
}

func fail(w http.ResponseWriter, status int, text string) { reply(w, status, failure{Error: text}) }

// failFilter answers that the filter is malformed, and where.
func failFilter(w http.ResponseWriter, err error) {
	f := failure{Error: err.Error()}
	if e, ok := errors.AsType[*filter.Error](err); ok {
		f.Word, f.Offset, f.Expected = e.Word, new(e.Offset), e.Expected
	}
	reply(w, http.StatusBadRequest, f)
}
