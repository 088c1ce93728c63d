package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/pathmanager"

	"golang.org/x/sys/unix"
)

// prepare raises the limits that the loads need, and, where it may, this process's
// priority and with it that of all programs under test: other work of the machine
// disturbs them less.
func prepare() error {
	for _, task := range tasksOf(os.Getpid()) {
		_ = unix.Setpriority(unix.PRIO_PROCESS, task, -15) // not root: the same for all of them
	}
	return raiseLimits()
}

// raiseLimits lets the loads open as many files as they may.
func raiseLimits() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	return lab.CheckMPTCP()
}

// ringAllowed reports whether the ring engine can run here: it needs root, and not
// that of a user namespace.
func ringAllowed() bool {
	return within(func() error {
		l, err := pathmanager.Listen(&pathmanager.ListenConfig{Engine: pathmanager.EngineRing, Buffer: 1})
		if err != nil {
			return err
		}
		return l.Close()
	}) == nil
}

// within runs f on a thread in a new namespace, on the first processor.
func within(f func() error) error {
	ns, err := lab.NewNamespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(func() error {
		pin(0, 0)
		return f()
	})
}

// pin keeps a task on one processor, if there are several; task 0 is the calling
// thread.
func pin(task, processor int) {
	if runtime.NumCPU() < 2 {
		return
	}
	var set unix.CPUSet
	set.Set(processor)
	_ = unix.SchedSetaffinity(task, &set) // the task may have ended
}

// unpin lets the calling thread, and what it starts, run on all processors.
func unpin() {
	var set unix.CPUSet
	for i := range runtime.NumCPU() {
		set.Set(i)
	}
	_ = unix.SchedSetaffinity(0, &set) // it stays where it is: slower, not wrong
}

func (s *settings) tool(name string) string { return filepath.Join(s.tools, name) }

// has reports whether a tool was built: those in C need a compiler.
func (s *settings) has(name string) bool {
	_, err := os.Stat(s.tool(name))
	return err == nil
}

// head says when, where and against what was measured.
func (s *settings) head() string {
	var peers []string
	for _, ip := range s.ips {
		peers = append(peers, "ip of "+version(ip))
	}
	peers = append(peers, "ss of "+version(s.ss))
	who := "root"
	if !s.ring {
		who = "an ordinary user or without BPF: the ring can't run, and buffers are as small as the system's"
	}
	return fmt.Sprintf(
		"%s, by %s. Linux %s, %d processors (%s), %s. Beside: %s. Rounds: %d.",
		time.Now().UTC().Format("2 January 2006, 15:04 UTC"), who, kernel(), runtime.NumCPU(), processor(),
		runtime.Version(), strings.Join(peers, ", "), s.rounds,
	)
}

var iproute = regexp.MustCompile(`iproute2-[^ ,\n]+`)

// version returns what a program of iproute2 says of itself.
func version(program string) string {
	out, err := exec.Command(program, "-V").Output()
	if err != nil {
		return "iproute2 (missing)"
	}
	return iproute.FindString(strings.TrimSpace(string(out)))
}

// kernel returns the kernel's version without what its builder added.
func kernel() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	release, _, _ := strings.Cut(strings.TrimSpace(string(text)), "-")
	return release
}

// processor returns the name of the machine's processors.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// availableMemory returns the bytes that programs can still have.
func availableMemory() float64 {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemAvailable:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb * 1024
		}
	}
	return 0
}
