package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/scenario"
)

// longestFixture is how long a scenario is recorded, once its symptoms show, while
// the recording does not yet tell of its rule.
const longestFixture = 12 * time.Second

// TestRecordScenarios records the lab's scenarios for TestScenarioFixtures, where
// doctor is to look, with UPDATE=1 for good. Without it this tests with one that it
// can be done: all take minutes.
func TestRecordScenarios(t *testing.T) {
	scenarios := scenario.All()
	directory := kernelDirectory()
	if os.Getenv("UPDATE") != "1" {
		scenarios, directory = scenarios[:1], t.TempDir()
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	labtest.Namespace(t)
	program := toolPath(t)
	places := make(chan struct{}, 4)
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			places <- struct{}{}
			defer func() { <-places }()
			file := recordScenario(t, s, program)
			anonymise(t, file)
			compress(t, file, filepath.Join(directory, s.Name+".pcapng.gz"))
		})
	}
}

// recordScenario records the scenario until the recording tells of its rule, or for
// longestFixture.
func recordScenario(t *testing.T, s scenario.Scenario, program string) (file string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	file = filepath.Join(t.TempDir(), "t.pcapng")
	var r *recorder
	trial, err := procedure.StartWatched(ctx, s, []string{program}, func(l *lab.Lab) error {
		r = startRecording(t, ctx, l.Host(s.Host), file)
		return nil
	})
	labtest.SkipMissing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	for end := time.Now().Add(longestFixture); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		if d, ok := replayedDiagnosis(file); ok && d.Names(s.Rule) {
			break
		}
	}
	r.stop(t, ctx)
	return file
}

// compress writes the recording as it is kept.
func compress(t *testing.T, file, into string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(into, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
