package opener

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/confine"
	"mptcpctl/internal/owners"
)

// Name is what the opener calls itself: its program's first argument.
const Name = "mptcpctl-opener"

// stubFile is the opener's end of the socket.
const stubFile = 3

// IsStub reports whether a program was started as the opener.
func IsStub(args []string) bool { return len(args) > 1 && args[0] == Name }

// Stub is the opener's life: it gives up all but the looking into processes, and answers
// until the server ends. args are the program's; it returns the exit code.
func Stub(args []string) int {
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP) // meant for the server, with which it ends
	id, err := identityOf(args[1])
	if err == nil {
		err = confine.Become(id, 1<<unix.CAP_SYS_PTRACE|1<<unix.CAP_DAC_READ_SEARCH)
	}
	if err == nil {
		err = answer(os.NewFile(stubFile, "server"))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", Name, err)
		return 1
	}
	return 0
}

// answer answers questions to their end.
func answer(server io.ReadWriter) error {
	questions := bufio.NewReader(server)
	for {
		inodes, err := readQuestion(questions)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := json.Marshal(look(inodes))
		if err != nil {
			return err
		}
		if err := writeAnswer(server, text); err != nil {
			return err
		}
	}
}

// walked is the answer.
type walked struct {
	owners.ProcessWalk
	Error string `json:",omitempty"`
}

func look(inodes map[uint32]bool) (w walked) {
	walk, err := owners.WalkProcesses(context.Background(), "", func(inode uint32) bool { return inodes[inode] })
	w.ProcessWalk = walk
	if err != nil {
		w.Error = err.Error()
	}
	return w
}
