package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holderWord is the first argument of this program as a holder: a process that
// holds connections until its input ends. A process may not open as many
// descriptors as the largest lists need.
const holderWord = "hold-connections"

// holdForParent is the holder's life.
func holdForParent(args []string) error {
	if len(args) != 1 {
		return errors.New("a holder needs a number")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	if _, err := hold(n); err != nil { // its end releases them
		return err
	}
	fmt.Println("holding", n)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// holders are processes that hold connections.
type holders []*holder

type holder struct {
	running
	stdin  io.Closer
	stdout *bufio.Reader
}

// holdMany has n connections made, by as many processes as they need, and held
// until release. A connection takes two descriptors, for both its ends.
func holdMany(ctx context.Context, n int) (holders, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	if limit.Cur < 256 {
		return nil, fmt.Errorf("only %d open files are allowed", limit.Cur)
	}
	most := int(min(limit.Cur-128, 20_000) / 2)
	var all holders
	for left := n; left > 0; left -= most {
		h, err := startHolder(ctx, min(left, most))
		if err != nil {
			return nil, errors.Join(err, all.release())
		}
		all = append(all, h)
	}
	for _, h := range all {
		if text, err := h.stdout.ReadString('\n'); err != nil || !strings.HasPrefix(text, "holding") {
			return nil, errors.Join(errors.New("a holder could not make its connections"), all.release())
		}
	}
	return all, nil
}

// startHolder starts a holder in the namespace of the calling thread, on all
// processors.
func startHolder(ctx context.Context, n int) (*holder, error) {
	cmd := command(ctx, "/proc/self/exe", holderWord, strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	unpin()
	defer pin(0, 0)
	return &holder{running{cmd}, stdin, bufio.NewReader(stdout)}, cmd.Start()
}

// release ends the holders, and with them their connections.
func (all holders) release() error {
	var failed error
	for _, h := range all {
		failed = errors.Join(failed, h.stdin.Close())
	}
	for _, h := range all {
		failed = errors.Join(failed, h.cmd.Wait())
	}
	return failed
}
