package bundle

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mptcpctl/internal/source/recording"
)

// TestHostileBundle opens bundles of some kilobytes that would take gigabytes.
func TestHostileBundle(t *testing.T) {
	for name, facts := range map[string]string{
		"a million hosts":  "[" + strings.Repeat("{},", 1_000_000) + "{}]",
		"a million routes": `[{"Network":{"Routes":[` + strings.Repeat("{},", 1_000_000) + "{}]}}]",
		"one text":         `[{"Netns":"` + strings.Repeat("x", 100<<20) + `"}]`,
	} {
		file := filepath.Join(t.TempDir(), "bundle")
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		members := map[string][]byte{memberFacts: []byte(facts), memberRecording: []byte(facts)}
		if err := errors.Join(writeArchive(f, members), f.Close()); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err = ReadFacts(file)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, recording.ErrInflated) {
			t.Errorf("%s: error %v, want ErrInflated", name, err)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 512<<20 {
			t.Errorf("%s: %d MiB", name, cost>>20)
		}
		if _, err := ReadRecording(file); err == nil {
			t.Errorf("%s: is read as a recording", name)
		}
	}
}

func TestFactsThatAreNoList(t *testing.T) {
	for text, ok := range map[string]bool{"null": true, "[]": true, "[{}]": true, "{}": false, "[{}": false, "[1]": false, "": false} {
		allowance := recording.NewAllowance(func() int64 { return 1000 })
		if _, err := decodeFacts(strings.NewReader(text), allowance); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
