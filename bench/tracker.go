package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// tracker is the memory of tracked connections: the benchmark of the package track,
// which needs no kernel.
func tracker(ctx context.Context, s *settings, r *report) error {
	size := r.table("bytes resident per connection", "")
	collection := r.table("ms of a full garbage collection", "")
	cmd := command(ctx, s.tool("track.test"), "-test.run", "^$", "-test.bench", "^BenchmarkMemory$/^(core|two)$",
		"-test.benchtime", "1x", "-test.count", strconv.Itoa(min(s.rounds, 3)))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, complaint.Bytes())
	}
	shapes := map[string]string{"core": "core record", "two": "with two subflows and their figures"}
	for line := range strings.Lines(string(out)) {
		name, metrics := benchmarkLine(line)
		shape, ok := shapes[name]
		if !ok {
			continue
		}
		size.add("", shape, metrics["B/connection"])
		collection.add("", shape, metrics["ms/GC"])
	}
	if len(size.rows) != len(shapes) {
		return errors.New("the benchmark of the tracker prints what is not understood")
	}
	r.goal(
		goal{
			what:     "a tracked connection's core record",
			bound:    72,
			unit:     " bytes",
			measured: size.figures("", shapes["core"]),
		},
	)
	r.goal(goal{what: "one with two subflows", bound: 200, unit: " bytes", measured: size.figures("", shapes["two"])})
	r.goal(
		goal{
			what:     "full garbage collection with a million of them",
			bound:    10,
			unit:     " ms",
			measured: collection.figures("", shapes["two"]),
		},
	)
	return nil
}

// benchmarkLine returns the last part of a benchmark's name and its figures by
// unit; "" for any other line.
func benchmarkLine(line string) (name string, metrics map[string]float64) {
	f := strings.Fields(line)
	if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
		return "", nil
	}
	metrics = map[string]float64{}
	for i := 2; i+1 < len(f); i += 2 {
		value, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return "", nil
		}
		metrics[f[i+1]] = value
	}
	name = f[0][strings.LastIndexByte(f[0], '/')+1:]
	if shape, processors, ok := strings.Cut(name, "-"); ok {
		if _, err := strconv.Atoi(processors); err == nil {
			name = shape
		}
	}
	return name, metrics
}
