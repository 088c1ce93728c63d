package peer

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"mptcpctl/doctor/bothends"
	"mptcpctl/internal/bundle"
)

// remote is a host that the system's ssh reaches, with its configuration, agent and prompts.
type remote struct {
	where string // as ssh takes it: HOST or USER@HOST
	port  string // "" for that of ssh's configuration
}

func parseRemote(text string) (*remote, error) {
	r := &remote{where: text}
	user, host := "", text
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		user, host = text[:at+1], text[at+1:]
	}
	if name, port, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("port %q: want 1 to 65535", port)
		}
		host, r.port = name, port
	} else if bare, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(bare, "]") {
		host = strings.TrimSuffix(bare, "]")
	}
	r.where = user + host
	if host == "" || strings.HasPrefix(r.where, "-") || strings.ContainsAny(r.where, " \t\n") {
		return nil, errors.New("want ssh:[USER@]HOST[:PORT]")
	}
	return r, nil
}

// errProgram is why a host has no facts for us.
var errProgram = errors.New("the program there gave no facts: is mptcpctl installed there, in the same version? " +
	"--copy brings this one along")

// mostFacts bounds what a host may answer, in bytes.
const mostFacts = 256 << 20

// maxNoise bounds what is kept of what ssh and the program there say beside the facts.
const maxNoise = 4 << 10

func (r *remote) ask(ctx context.Context, c *Config, ready func()) (h bothends.Host, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	script, program, err := r.script(c)
	if err != nil {
		return h, err
	}
	args := []string{"-T"}
	if r.port != "" {
		args = append(args, "-p", r.port)
	}
	cmd := exec.CommandContext(ctx, "ssh", append(args, "--", r.where, script)...)
	cmd.WaitDelay = 5 * time.Second
	noise := &tail{}
	cmd.Stderr = noise
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return h, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return h, err
	}
	if err := cmd.Start(); err != nil {
		return h, err
	}
	sent := make(chan struct{})
	go func() { // the program first, as far as the host takes it; then the clock's question is free to go
		defer close(sent)
		io.Copy(stdin, bytes.NewReader(program)) //nolint:errcheck // what is amiss shows in the answer
	}()
	host, err := converse(stdin, stdout, sent, ready)
	if err != nil {
		cancel()
	}
	ended := cmd.Wait()
	var status *exec.ExitError
	switch {
	case err == nil && c.Warn != nil && noise.text() != "":
		c.Warn(&Error{r.where, errors.New(noise.text())})
	case err != nil && errors.As(ended, &status) && status.ExitCode() == otherMachine:
		err = fmt.Errorf(
			"its processor is %s: bring the file mptcpctl of that architecture there, and leave out --copy",
			cmp.Or(noise.text(), "another one"))
	case err != nil && noise.text() != "":
		err = fmt.Errorf("%w: %s", err, noise.text())
	}
	host.Name = r.where
	return host, err
}

// converse reads the clock's lines and the facts: see [Answer].
func converse(to io.WriteCloser, from io.Reader, sent <-chan struct{}, ready func()) (h bothends.Host, err error) {
	defer to.Close()
	lines := bufio.NewReader(io.LimitReader(from, mostFacts))
	if _, err := readClock(lines); err != nil {
		return h, err
	}
	<-sent
	asked := time.Now()
	if _, err := io.WriteString(to, "\n"); err != nil {
		return h, errProgram // it ended: that is no broken pipe of our own output
	}
	clock, err := readClock(lines)
	if err != nil {
		return h, err
	}
	answered := time.Now()
	ready()
	h.Within = max(answered.Sub(asked)/2, time.Microsecond)
	h.Ahead = clock.Sub(asked.Add(answered.Sub(asked) / 2).Round(0))
	h.Facts, err = bundle.DecodeFacts(lines)
	if err != nil {
		return h, fmt.Errorf("%w: %w", errProgram, err)
	}
	return h, nil
}

// readClock reads a line with the time of a host's clock. What comes before the first such
// line, such as a greeting of its shell, is passed over.
func readClock(lines *bufio.Reader) (time.Time, error) {
	for range 1000 {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return time.Time{}, errProgram
		}
		if text, ok := strings.CutPrefix(string(line), clockMark); ok {
			t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(text))
			if err != nil {
				return time.Time{}, errProgram
			}
			return t, nil
		}
	}
	return time.Time{}, errProgram
}

// script returns what the shell there is to do, and the program that it reads before.
func (r *remote) script(c *Config) (script string, program []byte, err error) {
	run := "doctor --facts=clock --window " + c.Window.String()
	if !c.Copy {
		return "exec mptcpctl " + run, nil, nil
	}
	if program, err = os.ReadFile("/proc/self/exe"); err != nil {
		return "", nil, err
	}
	// The file has no name any more when the program begins, so that nothing is left of it
	// however that ends.
	return "case $(uname -m) in " + machines() + ") ;; *) uname -m >&2; exit " + strconv.Itoa(otherMachine) +
		";; esac; f=$(mktemp) && trap 'rm -f \"$f\"' EXIT HUP INT TERM && head -c " + strconv.Itoa(len(program)) +
		" >\"$f\" && chmod 700 \"$f\" && exec 9<\"$f\" && rm -f \"$f\" && exec /proc/self/fd/9 " + run, program, nil
}

// tail keeps the last of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b...)
	if extra := len(t.b) - maxNoise; extra > 0 {
		t.b = t.b[extra:]
	}
	return len(b), nil
}

func (t *tail) text() string { return strings.TrimSpace(string(t.b)) }
