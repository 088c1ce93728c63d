package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// loud is the share of the processors' time that other work may take before a
// section calls itself disturbed.
const loud = 0.10

// noise tells how busy the machine was with other things than this run.
type noise struct {
	load   string        // load averages at the end
	others float64       // share of all processors' time that others used
	took   time.Duration // how long it was watched
}

// String returns a sentence for the reader of a table.
func (n noise) String() string {
	s := fmt.Sprintf(
		"(%.0f s, load average %s, other work on %.0f %% of the processors", n.took.Seconds(), n.load, 100*n.others,
	)
	if n.others > loud {
		s += ": **noisy**"
	}
	return s + ")"
}

// noiseWatch is where noise is counted from.
type noiseWatch struct {
	begin     time.Time
	busy, own time.Duration
}

func watchNoise() noiseWatch { return noiseWatch{time.Now(), busy(), own()} }

// end returns the noise since the watch began.
func (w noiseWatch) end() noise {
	took := time.Since(w.begin)
	others := (busy() - w.busy) - (own() - w.own)
	load, _ := os.ReadFile("/proc/loadavg")
	averages := strings.Fields(string(load))
	return noise{
		load:   strings.Join(averages[:min(3, len(averages))], " "),
		others: max(0, others.Seconds()/took.Seconds()/float64(runtime.NumCPU())),
		took:   took,
	}
}

// busy returns the time for which all processors were busy, with the time that a
// hypervisor took.
func busy() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	var ticks int64
	for i, field := range strings.Fields(first) {
		n, _ := strconv.ParseInt(field, 10, 64) // the first is a name: 0
		if idle := i == 4 || i == 5; !idle && i <= 8 {
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// own returns the processor time of this process and of those it has waited for.
func own() time.Duration {
	return spentBy(unix.RUSAGE_SELF) + spentBy(unix.RUSAGE_CHILDREN)
}

// spentBy returns the processor time of a process, a thread, or children.
func spentBy(who int) time.Duration {
	var u unix.Rusage
	if unix.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
