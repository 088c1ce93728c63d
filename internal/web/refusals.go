package web

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Reasons for which callers are refused.
const (
	refusedToken  = "token"       // none, or a wrong one
	refusedHost   = "host"        // a name that is not this server's
	refusedOrigin = "origin"      // a page of another origin
	refusedTLS    = "certificate" // none that is accepted, or no TLS
	refusedBusy   = "busy"        // too many at the same time
)

const (
	guessesFree  = 10               // wrong tokens of a client that cost nothing
	guessesKept  = time.Minute      // how long they count
	guessPause   = time.Second      // how long the answer to a further one takes
	guessesAtOne = 32               // that are answered so at the same time
	clientsKept  = 4096             // whose guesses are counted
	refusalPause = 10 * time.Second // between two lines in the log for one reason
)

// refusals counts the callers that were refused, logs them, few at a time, and slows down
// those who guess.
type refusals struct {
	log   *slog.Logger
	pause time.Duration // guessPause

	mu      sync.Mutex
	counts  map[string]uint64
	untold  map[string]uint64    // since the last line
	told    map[string]time.Time // when that was
	guesses map[netip.Addr]guesses
	paused  int // answers to guesses that wait
}

// guesses are the wrong tokens of one client.
type guesses struct {
	n     int
	until time.Time
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{
		log: log, pause: guessPause, counts: make(map[string]uint64), untold: make(map[string]uint64),
		told: make(map[string]time.Time), guesses: make(map[netip.Addr]guesses),
	}
}

// note counts a refusal, and logs it unless there was one for the same reason just now.
func (f *refusals) note(reason, remote string) {
	f.mu.Lock()
	f.counts[reason]++
	f.untold[reason]++
	now := time.Now()
	if now.Sub(f.told[reason]) < refusalPause {
		f.mu.Unlock()
		return
	}
	n := f.untold[reason]
	f.untold[reason], f.told[reason] = 0, now
	f.mu.Unlock()
	f.log.Warn("refused", "reason", reason, "remote", remote, "times", n)
}

// all returns how many callers were refused, by reason.
func (f *refusals) all() map[string]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := make(map[string]uint64, len(f.counts))
	for _, reason := range []string{refusedToken, refusedHost, refusedOrigin, refusedTLS, refusedBusy} {
		counts[reason] = f.counts[reason]
	}
	return counts
}

// wrong takes up a wrong token, and makes its sender wait where it has sent many. It
// reports false where too many wait already.
func (f *refusals) wrong(r *http.Request) bool {
	client, now := clientOf(r), time.Now()
	f.mu.Lock()
	if len(f.guesses) >= clientsKept {
		clear(f.guesses)
	}
	g := f.guesses[client]
	if now.After(g.until) {
		g = guesses{}
	}
	g.n, g.until = g.n+1, now.Add(guessesKept)
	f.guesses[client] = g
	if g.n <= guessesFree {
		f.mu.Unlock()
		return true
	}
	if f.paused >= guessesAtOne {
		f.mu.Unlock()
		return false
	}
	f.paused++
	f.mu.Unlock()
	wait := time.NewTimer(f.pause)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-r.Context().Done():
	}
	f.mu.Lock()
	f.paused--
	f.mu.Unlock()
	return true
}

// crowded reports whether the client has guessed so much, and so many answers to guesses
// wait, that what it shows is not even looked at.
func (f *refusals) crowded(r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.guesses[clientOf(r)]
	return f.paused >= guessesAtOne && g.n > guessesFree && time.Now().Before(g.until)
}

// Write takes the HTTP library's own messages: those about TLS are refusals.
func (f *refusals) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if rest, ok := strings.CutPrefix(text, "http: TLS handshake error from "); ok {
		remote, _, _ := strings.Cut(rest, ": ")
		f.note(refusedTLS, remote)
	}
	f.log.Debug(text)
	return len(line), nil
}
