package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// metrics is what the metrics of very many connections cost: the benchmark of the
// package internal/export, which needs no kernel.
func metrics(ctx context.Context, s *settings, r *report) error {
	cost := r.table("ms of processor", "")
	cmd := command(ctx, s.tool("export.test"), "-test.run", "^$", "-test.bench", "^BenchmarkUpdate$",
		"-test.benchtime", "20x", "-test.count", strconv.Itoa(min(s.rounds, 3)))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, complaint.Bytes())
	}
	updates := map[string]string{"sample": "adding up the subflows, every 5 seconds", "scrape": "one scrape"}
	for line := range strings.Lines(string(out)) {
		name, figures := benchmarkLine(line)
		if update, ok := updates[name]; ok {
			cost.add("", update, figures["cpu-ms/op"])
		}
	}
	if len(cost.rows) != len(updates) {
		return errors.New("the benchmark of the metrics prints what is not understood")
	}
	for _, name := range []string{"sample", "scrape"} {
		what := updates[name] + " of 60,000 connections with two subflows"
		r.goal(goal{what: what, bound: 50, unit: " ms", measured: cost.figures("", updates[name])})
	}
	return nil
}
