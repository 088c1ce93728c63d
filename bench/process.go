package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// running is a program at work.
type running struct{ cmd *exec.Cmd }

// tasks returns the threads of the process.
func (r *running) tasks() []int { return tasksOf(r.cmd.Process.Pid) }

func tasksOf(pid int) []int {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
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
			continue // it has ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(first, 10, 64)
		sum += n
	}
	return time.Duration(sum)
}

// ready reports whether a thread of the process runs or wants to.
func (r *running) ready() bool {
	for _, task := range r.tasks() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", r.cmd.Process.Pid, task))
		if err != nil {
			continue
		}
		if _, state, ok := bytes.Cut(text, []byte(") ")); ok && bytes.HasPrefix(state, []byte("R")) {
			return true
		}
	}
	return false
}

// rest waits until the process has read what there is and uses no more processor
// time, and returns what it has used. On a busy machine a process may want to run
// for long before it may.
func (r *running) rest(ctx context.Context) (time.Duration, error) {
	deadline := time.Now().Add(3 * time.Minute)
	for quiet, last := 0, r.cpu(); ; {
		time.Sleep(30 * time.Millisecond)
		now := r.cpu()
		if now-last < 200*time.Microsecond && !r.ready() && !unread() {
			quiet++
		} else {
			quiet = 0
		}
		if last = now; quiet == 4 {
			return now, nil
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%s does not come to rest", r.cmd.Path)
		}
	}
}

// signal sends a signal to the process.
func (r *running) signal(s syscall.Signal) error { return r.cmd.Process.Signal(s) }

// stop ends the process as a user does.
func (r *running) stop() error {
	if err := r.signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = r.cmd.Wait() // ip ends with a signal's status
	return nil
}

// resident returns the process's memory in RAM, in bytes.
func (r *running) resident() float64 { return memoryOf(r.cmd.Process.Pid, "VmRSS:") }

// memoryOf returns a line of the process's status that counts memory, in bytes; 0
// if the process has ended.
func memoryOf(pid int, name string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb * 1024
		}
	}
	return 0
}

// cost is what a program took from its start to its end.
type cost struct {
	cpu    time.Duration
	memory float64 // the most that was resident, in bytes
}

// once runs a program to its end, its output into memory.
func once(ctx context.Context, args ...string) (cost, error) {
	out, err := scratch()
	if err != nil {
		return cost{}, err
	}
	defer out.Close()
	cmd := command(ctx, args...)
	var complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &complaint
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	peak := watchPeak(cmd.Process.Pid)
	err = cmd.Wait()
	c := cost{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), memory: peak()}
	if err != nil {
		return cost{}, fmt.Errorf("%v: %w: %s", args, err, complaint.Bytes())
	}
	return c, nil
}

// watchPeak looks at the process's memory each millisecond until the returned
// function is called, which returns the most that there was. (The figure that
// wait4 gives is at least what this process, which forks, has itself.)
func watchPeak(pid int) func() float64 {
	stop, peak := make(chan struct{}), make(chan float64)
	go func() {
		most := 0.0
		for tick := time.NewTicker(time.Millisecond); ; {
			select {
			case <-tick.C:
				most = max(most, memoryOf(pid, "VmHWM:"))
			case <-stop:
				tick.Stop()
				peak <- most
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		return <-peak
	}
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
