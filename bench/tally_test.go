package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	var got tally
	const text = "[LISTENER_CREATED] saddr4=127.0.0.1 sport=1\n[            LOST] lost=6480\n[ LISTENER_CLOSED] " +
		"saddr4=127.0.0.1 sport=1\n[            LOST] lost=20\n"
	if err := got.count(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	if want := (tally{printed: 2, lost: 6500}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := got.check(6502); err != nil {
		t.Error(err)
	}
	if err := got.check(6503); err == nil {
		t.Error("an event that is neither printed nor lost passes")
	}
	var kept books
	kept.check(got, 6502, monitor{})
	kept.check(got, 6503, monitor{})
	if kept.runs != 2 || kept.wrong != 1 || kept.failed == nil || kept.goal().met() {
		t.Errorf("%+v", kept)
	}
	if got := got.missing(4); got != 50 {
		t.Errorf("missing %v %%", got)
	}
	if err := new(tally).count(strings.NewReader("[            LOST] lost=many\n")); err == nil {
		t.Error("a number that is none passes")
	}
}

func TestBenchmarkLine(t *testing.T) {
	name, metrics := benchmarkLine(
		"BenchmarkMemory/core-2 \t       3\t 384867274 ns/op\t        57.04 B/connection\t         3.516 ms/GC\n",
	)
	if name != "core" || metrics["B/connection"] != 57.04 || metrics["ms/GC"] != 3.516 {
		t.Errorf("%q %v", name, metrics)
	}
	if name, _ := benchmarkLine("BenchmarkMemory/two-default 1 5 ns/op"); name != "two-default" {
		t.Errorf("%q", name)
	}
	for _, line := range []string{"PASS\n", "ok mptcpctl/track 8.104s\n", "BenchmarkMemory/core some words here\n"} {
		if name, _ := benchmarkLine(line); name != "" {
			t.Errorf("%q: %q", line, name)
		}
	}
}
