package opener

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/confine"
	"mptcpctl/internal/owners"
)

// Opener is the server's end. Its methods may be called by several goroutines.
type Opener struct {
	process *exec.Cmd
	socket  *os.File
	answers *bufio.Reader
	free    chan struct{} // holds one token while no question is open
	failed  error         // guarded by the token: what was read last does not fit a question
}

// Start starts the opener, as this user if the process is root, and otherwise as the same
// one. Stderr gets its complaints.
func Start(id *confine.Identity, stderr *os.File) (*Opener, error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opener: socketpair: %w", err)
	}
	if err := unix.SetNonblock(ends[0], true); err != nil { // else Close would wait for an answer
		return nil, fmt.Errorf("opener: %w", errors.Join(err, unix.Close(ends[0]), unix.Close(ends[1])))
	}
	own, its := os.NewFile(uintptr(ends[0]), "opener"), os.NewFile(uintptr(ends[1]), "server")
	defer its.Close()
	process := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{Name, identityArgument(id)},
		ExtraFiles: []*os.File{its}, Stderr: stderr, Dir: "/", Env: []string{},
	}
	if err := process.Start(); err != nil {
		own.Close()
		return nil, fmt.Errorf("opener: %w", err)
	}
	o := &Opener{process: process, socket: own, answers: bufio.NewReader(own), free: make(chan struct{}, 1)}
	o.free <- struct{}{}
	return o, nil
}

// Processes returns who holds these sockets, as [owners.WalkProcesses] does.
func (o *Opener) Processes(ctx context.Context, inodes map[uint32]bool) (owners.ProcessWalk, error) {
	if len(inodes) > mostInodes {
		return owners.ProcessWalk{}, fmt.Errorf("opener: %d sockets: %w", len(inodes), errTooLarge)
	}
	select {
	case <-ctx.Done():
		return owners.ProcessWalk{}, ctx.Err()
	case <-o.free:
	}
	type result struct {
		walk owners.ProcessWalk
		err  error
	}
	done := make(chan result, 1)
	go func() { // it reads its answer to the end, also for a caller who has gone
		walk, err := o.ask(inodes)
		o.free <- struct{}{}
		done <- result{walk, err}
	}()
	select {
	case <-ctx.Done():
		return owners.ProcessWalk{}, ctx.Err()
	case r := <-done:
		return r.walk, r.err
	}
}

// ask asks one question. The caller holds the token.
func (o *Opener) ask(inodes map[uint32]bool) (owners.ProcessWalk, error) {
	if o.failed != nil {
		return owners.ProcessWalk{}, o.failed
	}
	_, err := o.socket.Write(appendQuestion(nil, inodes))
	var text []byte
	if err == nil {
		text, err = readAnswer(o.answers)
	}
	if err != nil {
		o.failed = fmt.Errorf("the opener has ended: %w", err)
		return owners.ProcessWalk{}, o.failed
	}
	var w walked
	if err := json.Unmarshal(text, &w); err != nil {
		return owners.ProcessWalk{}, fmt.Errorf("opener: %w", err)
	}
	if w.Error != "" {
		return w.ProcessWalk, errors.New(w.Error)
	}
	return w.ProcessWalk, nil
}

// patience is how long an opener may take to end by itself. It ends at once, unless it is
// looking into processes, which takes a host of a hundred thousand of them some seconds.
const patience = time.Second

// Close ends the opener.
func (o *Opener) Close() error {
	err := o.socket.Close()
	late := time.AfterFunc(patience, func() { o.process.Process.Kill() })
	defer late.Stop()
	if ended := o.process.Wait(); late.Stop() {
		err = errors.Join(err, ended)
	}
	return err
}

// identityArgument is a user for the opener's command line.
func identityArgument(id *confine.Identity) string {
	if id == nil {
		return ""
	}
	return strconv.Itoa(id.UID) + ":" + strconv.Itoa(id.GID)
}

// identityOf reads what [identityArgument] wrote.
func identityOf(text string) (*confine.Identity, error) {
	if text == "" {
		return nil, nil
	}
	var id confine.Identity
	if _, err := fmt.Sscanf(text, "%d:%d", &id.UID, &id.GID); err != nil {
		return nil, fmt.Errorf("user %q: %w", text, err)
	}
	return &id, nil
}
