package cli

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
)

// topRecording is a recording of Red Hat's network; RECORD=1 makes it anew.
const topRecording = "testdata/top/redhat.mptcp"

// TestTopReplay walks through all screens on a recording, and compares what is
// seen. UPDATE=1 writes it anew.
func TestTopReplay(t *testing.T) {
	t.Parallel()
	topology := findTopology(t, "redhat")
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	l := build(t, ctx, topology)
	client := l.Host(lab.ClientHost)
	if os.Getenv("RECORD") == "1" {
		recording := startRecording(t, ctx, client, topRecording)
		traffic(t, ctx, l, func(string) {
			before, err := os.Stat(topRecording)
			if err != nil {
				t.Fatal(err)
			}
			await.True(t, "another dump", func() bool {
				now, err := os.Stat(topRecording)
				return err == nil && now.Size() > before.Size()+4096
			})
		})
		recording.stop(t, ctx)
	}
	s := startOnScreen(t, client, 80, 24, nil, "--replay", topRecording, "top")
	s.wait("the recording has ended", "verdict")
	for _, step := range []struct{ keys, name, wait string }{
		{"2e", "connections", "[2 connections]"},
		{"5", "endpoints", "[5 endpoints]"},
		{"4", "events", "[4 events]"},
		{"2\x1b[B\x1b[B\r", "connection", "[3 connection]"},
		{"?", "help", "freeze the screen"},
	} {
		s.press(step.keys)
		file := filepath.Join("testdata/top", step.name+".txt")
		got := s.wait("replay of redhat.mptcp", step.wait)
		if os.Getenv("UPDATE") != "1" {
			// On a busy machine the picture may rest between two keys of a step.
			got = s.becomes(file, got)
		}
		compare(t, file, got)
	}
	s.press("?6")
	s.wait("[6 doctor]")
	s.press("1")
	s.wait("[1 overview]", "connections  0", "closed 2")
	s.press("q")
	if err := s.waitEnd(); err != nil {
		t.Error(err)
	}
	s.restored()
}

// longestRest is how long a picture rests at most while the program still has keys to
// answer, also on a busy machine.
const longestRest = 30 * time.Second

// becomes waits until the screen shows what the file has, and returns what it shows.
func (s *screen) becomes(file, got string) string {
	s.t.Helper()
	want, err := os.ReadFile(file)
	if err != nil {
		s.t.Fatal(err)
	}
	for changed := time.Now(); got != string(want) && time.Since(changed) < longestRest; {
		time.Sleep(30 * time.Millisecond)
		if now := s.picture(); now != got {
			got, changed = now, time.Now()
		}
	}
	return got
}
