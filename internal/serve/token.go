package serve

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"mptcpctl/internal/web"
)

// token is what clients show. It is read anew when its file changes: a new one needs no
// restart.
type token struct {
	file string
	log  *slog.Logger // nil: silence

	mu      sync.Mutex
	watch   watch
	current []byte
}

// newToken reads the file.
func newToken(file string) (*token, error) {
	t := &token{file: file, watch: newWatch(file)}
	var err error
	t.current, err = t.read()
	return t, err
}

// get returns the token that holds now. What cannot be read, or is weak, leaves in force
// what was read before.
func (t *token) get() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.watch.changed() {
		return t.current
	}
	next, err := t.read()
	if err != nil {
		if t.watch.refuse() && t.log != nil {
			t.log.Warn("the token that changed is not used: the one before stays in force", "error", err)
		}
		return t.current
	}
	same := bytes.Equal(t.current, next)
	t.current = next
	t.watch.accept()
	if !same && t.log != nil {
		t.log.Info("the token was read anew: sessions that began with the one before have ended", "file", t.file)
	}
	return t.current
}

// read reads the file.
func (t *token) read() ([]byte, error) {
	text, err := os.ReadFile(t.file)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(text)
	if err := web.CheckToken(text); err != nil {
		return nil, fmt.Errorf("%s: %w", t.file, err)
	}
	return text, nil
}
