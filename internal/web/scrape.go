package web

import (
	"bytes"
	"net/http"
	"sync"
	"time"
)

// scrapeAge is how old the text of the metrics may be that a scrape is answered with.
const scrapeAge = 100 * time.Millisecond

// scrape is the text of the metrics. Scrapes that come together share it, so that they
// cost one text in memory and one making of it, however many they are.
type scrape struct {
	mu   sync.Mutex
	text []byte // not changed once it is here
	made time.Time
}

// read returns the text, made anew if it is too old.
func (s *scrape) read(c *Config) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text != nil && time.Since(s.made) < scrapeAge {
		return s.text, nil
	}
	b := bytes.NewBuffer(make([]byte, 0, len(s.text)+len(s.text)/8))
	if err := c.Metrics(b); err != nil {
		return nil, err
	}
	s.text, s.made = b.Bytes(), time.Now()
	return s.text, nil
}

func (s *Server) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	if s.config.Metrics == nil {
		fail(w, http.StatusNotFound, "there are no metrics here")
		return
	}
	text, err := s.scrape.read(&s.config)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	send(w, text)
}
