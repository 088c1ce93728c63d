package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
)

// screen is a pseudo-terminal that understands the control sequences of the Linux
// console (console_codes(4)), with a program at it.
type screen struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	slave  *os.File
	before unix.Termios
	ended  chan error

	mu          sync.Mutex
	raw         []byte   // all that was written
	rest        []byte   // a sequence that has not come to its end
	cells       [][]rune // rows of columns
	row, column int
	top, bottom int  // the rows that scroll
	other       bool // the other screen is shown
	hidden      bool // the cursor is
}

// startOnScreen starts the program in the host at a terminal of its own.
func startOnScreen(t *testing.T, host *lab.Host, width, height int, env []string, args ...string) *screen {
	t.Helper()
	return startAs(t, host, width, height, env, &syscall.SysProcAttr{}, args...)
}

// withoutPrivileges are the attributes of a process that has no capability over
// the network namespace that it starts in.
func withoutPrivileges() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}

// startAs starts the program with these attributes.
func startAs(
	t *testing.T,
	host *lab.Host,
	width, height int,
	env []string,
	attr *syscall.SysProcAttr,
	args ...string,
) *screen {
	t.Helper()
	s := &screen{t: t, ended: make(chan error, 1)}
	s.resizeCells(width, height)
	s.open(width, height)
	s.cmd = host.Command(t.Context(), "/proc/self/exe", args...)
	s.cmd.Args[0] = "mptcpctl"
	s.cmd.Env = append(append(os.Environ(), "TERM=linux", "NO_COLOR=", "TZ=UTC", "LC_ALL=C.UTF-8"), env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.slave, s.slave, s.slave
	attr.Setsid, attr.Setctty = true, true
	s.cmd.SysProcAttr = attr
	if err := host.Start(s.cmd); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	go s.read()
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	return s
}

func (s *screen) open(width, height int) {
	s.t.Helper()
	var err error
	if s.master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		labtest.Skip(s.t, "no pseudo-terminals: %v", err)
	}
	s.t.Cleanup(func() { s.master.Close() })
	if err := unix.IoctlSetPointerInt(int(s.master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		s.t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(s.master.Fd()), unix.TIOCGPTN)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		labtest.Skip(s.t, "no pseudo-terminals: %v", err)
	}
	s.t.Cleanup(func() { s.slave.Close() })
	s.setSize(width, height)
	s.before = s.settings()
}

func (s *screen) setSize(width, height int) {
	s.t.Helper()
	size := &unix.Winsize{Row: uint16(height), Col: uint16(width)}
	if err := unix.IoctlSetWinsize(int(s.master.Fd()), unix.TIOCSWINSZ, size); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) settings() unix.Termios {
	s.t.Helper()
	termios, err := unix.IoctlGetTermios(int(s.slave.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return *termios
}

// resize changes the size of the terminal, of which the kernel tells the program.
func (s *screen) resize(width, height int) {
	s.mu.Lock()
	s.resizeCells(width, height)
	s.mu.Unlock()
	s.setSize(width, height)
}

func (s *screen) resizeCells(width, height int) {
	s.cells = make([][]rune, height)
	for i := range s.cells {
		s.cells[i] = []rune(strings.Repeat(" ", width))
	}
	s.row, s.column = 0, 0
	s.top, s.bottom = 0, height-1
}

// press types keys.
func (s *screen) press(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// wait waits until all these texts are on the screen at once and a frame has come
// to its end, and returns it.
func (s *screen) wait(texts ...string) string {
	s.t.Helper()
	before := ""
	for deadline := time.Now().Add(await.Patience); ; {
		picture := s.picture()
		missing := ""
		for _, text := range texts {
			if !strings.Contains(picture, text) {
				missing = text
			}
		}
		if missing == "" && picture == before {
			return picture
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%q is not on the screen:\n%s", missing, picture)
		}
		before = picture
		time.Sleep(30 * time.Millisecond) // less than two frames are apart
	}
}

// fill waits until these texts are on the screen and its last line is the one with
// that number: a key may be answered before the program hears of a new size.
func (s *screen) fill(height int, texts ...string) {
	s.t.Helper()
	for deadline := time.Now().Add(await.Patience); ; {
		picture := s.wait(texts...)
		lines := strings.Count(strings.TrimRight(picture, "\n"), "\n") + 1
		if lines == height {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d lines on a screen of %d:\n%s", lines, height, picture)
		}
	}
}

// waitEnd waits for the end of the program.
func (s *screen) waitEnd() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(await.Patience):
		s.t.Fatalf("the program does not end:\n%s", s.picture())
		return nil
	}
}

// restored checks that the program left the terminal as it was.
func (s *screen) restored() {
	s.t.Helper()
	if after := s.settings(); after != s.before {
		s.t.Errorf("the settings of the terminal are %+v, before they were %+v", after, s.before)
	}
	for deadline := time.Now().Add(await.Patience); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		left := !s.other && !s.hidden
		s.mu.Unlock()
		if left {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the other screen was not left, or the cursor is still hidden")
		}
	}
}

// picture returns what is on the screen.
func (s *screen) picture() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, row := range s.cells {
		b.WriteString(strings.TrimRight(string(row), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// written returns all bytes that the program wrote.
func (s *screen) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.raw)
}

func (s *screen) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.master.Read(buffer)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.raw = append(s.raw, buffer[:n]...)
		s.rest = append(s.rest, buffer[:n]...)
		for s.take() {
		}
		s.mu.Unlock()
	}
}

// take draws the next character or carries out the next sequence, and reports
// whether there was a whole one.
func (s *screen) take() bool {
	b := s.rest
	if len(b) == 0 {
		return false
	}
	switch c := b[0]; {
	case c == 0x1b:
		n := s.escape(b)
		s.rest = b[n:]
		return n > 0
	case c < 0x20:
		s.control(c)
		s.rest = b[1:]
	default:
		if !utf8.FullRune(b) {
			return false
		}
		r, n := utf8.DecodeRune(b)
		s.put(r)
		s.rest = b[n:]
	}
	return true
}

func (s *screen) control(c byte) {
	switch c {
	case '\r':
		s.column = 0
	case '\n':
		if s.row == s.bottom {
			s.scroll(s.top, 1)
			return
		}
		s.move(s.row+1, s.column)
	case '\b':
		s.move(s.row, s.column-1)
	case '\t':
		s.move(s.row, s.column/8*8+8)
	}
}

// scroll moves the rows from one to the end of those that scroll, up by n or down.
func (s *screen) scroll(from, n int) {
	rows := s.cells[from : s.bottom+1]
	blank := func() []rune { return []rune(strings.Repeat(" ", len(s.cells[0]))) }
	for ; n > 0; n-- {
		copy(rows, rows[1:])
		rows[len(rows)-1] = blank()
	}
	for ; n < 0; n++ {
		copy(rows[1:], rows)
		rows[0] = blank()
	}
}

func (s *screen) put(r rune) {
	if s.row < len(s.cells) && s.column < len(s.cells[s.row]) {
		s.cells[s.row][s.column] = r
	}
	s.column++
}

func (s *screen) move(row, column int) {
	s.row = max(0, min(row, len(s.cells)-1))
	s.column = max(0, min(column, len(s.cells[0])-1))
}

// escape carries out the sequence that b begins with and returns its length, 0
// where it is not whole.
func (s *screen) escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] == 'M' && s.row == s.top {
		s.scroll(s.top, -1)
		return 2
	}
	if b[1] == 'M' {
		s.move(s.row-1, s.column)
		return 2
	}
	if b[1] != '[' {
		if b[1] == ']' || b[1] == 'P' {
			if end := strings.IndexAny(string(b), "\a"); end >= 0 {
				return end + 1
			}
			return 0
		}
		return 2
	}
	for i := 2; i < len(b); i++ {
		if b[i] >= 0x40 && b[i] <= 0x7e {
			s.sequence(string(b[2:i]), b[i])
			return i + 1
		}
	}
	return 0
}

// sequence carries out a control sequence.
func (s *screen) sequence(parameters string, final byte) {
	number := func(i, missing int) int {
		parts := strings.Split(parameters, ";")
		if i >= len(parts) {
			return missing
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return missing
		}
		return n
	}
	n := number(0, 1)
	switch final {
	case 'H', 'f':
		s.move(number(0, 1)-1, number(1, 1)-1)
	case 'A':
		s.move(s.row-n, s.column)
	case 'B':
		s.move(s.row+n, s.column)
	case 'C':
		s.move(s.row, s.column+n)
	case 'D':
		s.move(s.row, s.column-n)
	case 'd':
		s.move(n-1, s.column)
	case 'G', '`':
		s.move(s.row, n-1)
	case 'J', 'K', 'X':
		s.erase(final, number(0, 0))
	case '@':
		line := s.cells[s.row]
		copy(line[min(s.column+n, len(line)):], line[s.column:])
		for i := s.column; i < min(s.column+n, len(line)); i++ {
			line[i] = ' '
		}
	case 'P':
		line := s.cells[s.row]
		copy(line[s.column:], line[min(s.column+n, len(line)):])
		for i := max(s.column, len(line)-n); i < len(line); i++ {
			line[i] = ' '
		}
	case 'h', 'l':
		switch parameters {
		case "?1049":
			s.other = final == 'h'
		case "?25":
			s.hidden = final == 'l'
		}
	case 'r':
		s.top, s.bottom = number(0, 1)-1, min(number(1, len(s.cells)), len(s.cells))-1
		s.move(0, 0)
	case 'L':
		s.scroll(s.row, -n)
	case 'M':
		s.scroll(s.row, n)
	case 'm', 'p', 'u', 'n', 'c', 'q', 't', 'W': // neither moves nor draws anything
	default:
		s.t.Errorf("the console has no sequence ESC [ %s %c", parameters, final)
	}
}

func (s *screen) erase(final byte, n int) {
	clear := func(row, from, to int) {
		for i := from; i < min(to, len(s.cells[row])); i++ {
			s.cells[row][i] = ' '
		}
	}
	width := len(s.cells[0])
	switch {
	case final == 'X':
		clear(s.row, s.column, s.column+max(n, 1))
	case final == 'K' && n == 0:
		clear(s.row, s.column, width)
	case final == 'K' && n == 1:
		clear(s.row, 0, s.column+1)
	case final == 'K':
		clear(s.row, 0, width)
	case n == 0:
		clear(s.row, s.column, width)
		for row := s.row + 1; row < len(s.cells); row++ {
			clear(row, 0, width)
		}
	default:
		for row := range s.cells {
			clear(row, 0, width)
		}
	}
}
