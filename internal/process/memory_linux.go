package process

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// LimitMemory has Go's garbage collector keep the heap below nine tenths of the memory
// limit that the kernel sets the process's groups, where there is one: the collector
// then works harder when memory is short, instead of the kernel ending the process.
// $GOMEMLIMIT, where it is set, stands. It returns the limit in bytes, 0 for none.
func LimitMemory() int64 {
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	limit := groupLimit("/proc/self/cgroup", "/sys/fs/cgroup")
	if limit == 0 {
		return 0
	}
	limit = limit / 10 * 9
	debug.SetMemoryLimit(limit)
	return limit
}

// groupLimit returns the least memory limit of the process's group in the unified
// hierarchy, and of those around it; 0 where there is none.
func groupLimit(membership, hierarchy string) int64 {
	text, err := os.ReadFile(membership)
	if err != nil {
		return 0
	}
	var group string
	found := false
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			group, found = path.Clean("/"+name), true
		}
	}
	if !found {
		return 0
	}
	least := int64(math.MaxInt64)
	for ; ; group = path.Dir(group) {
		text, err := os.ReadFile(filepath.Join(hierarchy, group, "memory.max"))
		if err == nil {
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
				least = min(least, n)
			}
		}
		if group == "/" {
			break
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
