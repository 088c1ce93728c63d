package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// consumer is a program that reads the kernel's events.
type consumer struct {
	name string
	args []string
	ours bool // it says how many events it lost
}

// consumers returns the monitors in random order.
func (s *settings) consumers() []consumer {
	list := []consumer{
		{name: "mptcpctl", args: []string{s.tool("mptcpctl"), "monitor"}},
		{name: "mptcpctl, coalescing 1ms", args: []string{s.tool("mptcpctl"), "monitor", "--coalesce", "1ms"}},
		{name: "mptcpctl, no coalescing", args: []string{s.tool("mptcpctl"), "monitor", "--coalesce", "0"}},
		{name: "ip", args: []string{s.ip, "mptcp", "monitor"}},
	}
	if s.ring {
		list = append(list, consumer{name: "mptcpctl, ring", args: []string{s.tool("mptcpctl"), "monitor", "--engine", "ring"}})
	}
	if _, err := os.Stat(s.tool("drain")); err == nil {
		list = append(list, consumer{name: "bare drain", args: []string{s.tool("drain")}})
	}
	for i := range list {
		list[i].ours = list[i].args[0] == s.tool("mptcpctl")
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// cramped returns monitors with a buffer so small that they lose events: it shows
// whether they say so.
func (s *settings) cramped() []consumer {
	engines := []string{"netlink"}
	if s.ring {
		engines = append(engines, "ring")
	}
	var list []consumer
	for _, engine := range engines {
		list = append(list, consumer{
			"mptcpctl, " + engine + " with 1 MiB",
			[]string{s.tool("mptcpctl"), "monitor", "--engine", engine, "--buffer", "1"}, true,
		})
	}
	return list
}

// running is a consumer at work, on the second processor.
type running struct {
	cmd *exec.Cmd
	out *os.File
}

// start starts the consumer with its output into a file, or what else out is, and
// waits until it listens.
func (c consumer) start(out *os.File) (*running, error) {
	before := listeners()
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Stdout, cmd.Stderr = out, io.Discard
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &running{cmd, out}
	for deadline := time.Now().Add(10 * time.Second); listeners() <= before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("%s does not listen", c.name), r.stop())
		}
	}
	var cpu unix.CPUSet
	cpu.Set(1)
	for _, task := range r.tasks() {
		_ = unix.SchedSetaffinity(task, &cpu) // a thread may have ended; one processor: no matter
	}
	time.Sleep(20 * time.Millisecond) // let it come to rest: what it does to start is not measured
	return r, nil
}

func (r *running) tasks() []int {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", r.cmd.Process.Pid))
	var tasks []int
	for _, path := range paths {
		if id, err := strconv.Atoi(filepath.Base(path)); err == nil {
			tasks = append(tasks, id)
		}
	}
	return tasks
}

// cpu returns the time that the process's threads were on a processor.
func (r *running) cpu() time.Duration {
	var sum int64
	for _, task := range r.tasks() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", r.cmd.Process.Pid, task))
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(first, 10, 64)
		sum += n
	}
	return time.Duration(sum)
}

// rest waits until the process uses no more processor time, and returns what it
// has used.
func (r *running) rest() time.Duration {
	for quiet, last := 0, r.cpu(); ; {
		time.Sleep(50 * time.Millisecond)
		now := r.cpu()
		if now-last < 200*time.Microsecond {
			quiet++
		} else {
			quiet = 0
		}
		if last = now; quiet == 3 {
			return now
		}
	}
}

// stop ends the process as a user does.
func (r *running) stop() error {
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = r.cmd.Wait() // ip ends with a signal's status
	return nil
}

// listeners returns how many sockets of this namespace are in a group of generic
// netlink.
func listeners() int {
	text, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		return 0
	}
	n := 0
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) > 3 && string(f[1]) == "16" && string(bytes.Trim(f[3], "0")) != "" {
			n++
		}
	}
	return n
}

// scratch returns a file in memory that is gone when closed.
func scratch() (*os.File, error) {
	dir := "/dev/shm"
	if _, err := os.Stat(dir); err != nil {
		dir = ""
	}
	f, err := os.CreateTemp(dir, "bench-")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// once runs a program to its end and returns its processor and wall time.
func once(args ...string) (cpu, wall time.Duration, memory float64, err error) {
	cmd := exec.Command(args[0], args[1:]...)
	out, err := scratch()
	if err != nil {
		return 0, 0, 0, err
	}
	defer out.Close()
	cmd.Stdout = out
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return 0, 0, 0, fmt.Errorf("%v: %w", args, err)
	}
	wall = time.Since(begin)
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), wall, float64(usage.Maxrss), nil
}

func (s *settings) version(program string) string {
	out, err := exec.Command(program, "-V").Output()
	if err != nil {
		return program + " is missing"
	}
	return strings.TrimSpace(string(out))
}

func release() string {
	text, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(text))
}

// raiseFileLimit allows as many open sockets as the hard limit does.
func raiseFileLimit() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) // what there is has to do
	}
}
