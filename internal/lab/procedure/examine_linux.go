package procedure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/scenario"
)

// Examine runs a command in a host of the trial as the scenario's Look says, and
// returns its lines and exit code.
func (t *Trial) Examine(ctx context.Context, host *lab.Host, c lab.ProcessConfig) ([]lab.Line, int, error) {
	switch t.Scenario.Look {
	case scenario.Confined:
		c.Confined = true
	case scenario.OldTools:
		dir, err := t.temporary()
		if err != nil {
			return nil, 0, err
		}
		script := "#!/bin/sh\necho 'ip utility, iproute2-5.10.0'\n"
		if err := os.WriteFile(filepath.Join(dir, "ip"), []byte(script), 0o755); err != nil {
			return nil, 0, err
		}
		if c.Env == nil {
			c.Env = os.Environ()
		}
		c.Env = append(c.Env, "PATH="+dir+":"+os.Getenv("PATH"))
	case scenario.Stalled:
		return t.stall(ctx, host, c)
	}
	return host.RunProcess(ctx, c)
}

// temporary returns a directory that goes with the trial.
func (t *Trial) temporary() (string, error) {
	if t.dir != "" {
		return t.dir, nil
	}
	dir, err := os.MkdirTemp("", "mptcpctl-lab-")
	if err != nil {
		return "", err
	}
	t.dir = dir
	return dir, os.Chmod(dir, 0o755)
}

// startPrograms starts the stand-ins of programs: processes that wait, by their
// names.
func (t *Trial) startPrograms(ctx context.Context) error {
	for i, p := range t.Scenario.Programs {
		dir, err := t.temporary()
		if err != nil {
			return err
		}
		wait, err := exec.LookPath("sleep")
		if err != nil {
			return &lab.MissingError{What: "the program sleep", Why: "it stands in for others here", Err: err}
		}
		dir = filepath.Join(dir, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		path := filepath.Join(dir, p.Name) // the kernel calls a process by its file
		if err := os.Symlink(wait, path); err != nil {
			return err
		}
		t.Deeds = append(t.Deeds, Deed{p.Host, "a process called " + p.Name + " runs"})
		process, err := t.Lab.Host(p.Host).
			StartProcess(ctx, lab.ProcessConfig{Args: []string{path, "86400"}, Arg0: "sleep"})
		if err != nil {
			return err
		}
		t.programs = append(t.programs, process)
	}
	return nil
}

// stall runs the command, and stops it while so many connections come and go that
// its buffer for events overflows.
func (t *Trial) stall(ctx context.Context, host *lab.Host, c lab.ProcessConfig) ([]lab.Line, int, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*trialPatience)
	defer cancel()
	p, err := host.StartProcess(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	defer p.Close()
	began := time.Now()
	if err := poll(ctx, func() (bool, error) { return p.Subscribed(time.Since(began)) }); err != nil {
		return p.Lines(), 0, fmt.Errorf("it does not listen to events: %w", err)
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return nil, 0, err
	}
	storm, calm := context.WithCancel(ctx)
	var crowd sync.WaitGroup
	for range 2 * runtime.NumCPU() {
		crowd.Go(func() {
			for storm.Err() == nil {
				if conn, err := t.talk.connect(); err == nil {
					conn.Abort() // no TIME-WAIT is left of it
				}
			}
		})
	}
	err = poll(ctx, p.DroppedEvents)
	calm()
	crowd.Wait()
	if err := errors.Join(err, p.Signal(syscall.SIGCONT)); err != nil {
		return nil, 0, err
	}
	code, err := p.Wait(ctx)
	return p.Lines(), code, err
}

// poll asks until it is so.
func poll(ctx context.Context, ask func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := ask(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
