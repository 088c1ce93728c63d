package tui

import (
	"testing"
	"time"

	"mptcpctl/mptcp"
)

// BenchmarkFrame draws a frame of each screen over 10,000 connections.
func BenchmarkFrame(b *testing.B) {
	state := crowd(10_000)
	for screen := Overview; screen <= Endpoints; screen++ {
		b.Run(screen.String(), func(b *testing.B) {
			m := newModel(b.Context(), &Config{Zone: time.UTC, Screen: screen, Color: true}, func([]mptcp.Key) {})
			m.width, m.height = 80, 24
			for i := 0; b.Loop(); i++ {
				m.Update(frame{now: noon.Add(time.Duration(i) * framePause), state: state})
				if m.View().Content == "" {
					b.Fatal("nothing was drawn")
				}
			}
		})
	}
}
