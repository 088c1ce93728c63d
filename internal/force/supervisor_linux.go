package force

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What the supervisor is given.
const (
	controlFd = 3 // the socket over which the listener comes
	voiceFd   = 4 // where it speaks: the program's standard error, or the process in front
	mainFd    = 5 // pidfd of the program
)

// supervisor answers the notifications of one program and its descendants.
type supervisor struct {
	name     string // who speaks in notices: "mptcpctl: run"
	asked    bool   // the voice is a socket over which it is asked for news
	listener int
	steady   bool // callers wait for the answer whatever comes
	voice    int  // -1: nobody listens any more
	main     int  // -1: the program itself is over
	maker    *maker
	cannot   error // why nothing can be handed over, nil: it can
	news     news
	nudged   bool // an answer that nobody asked for is out: there is news
}

// supervise is the supervisor process: it takes the listener, and serves until no
// process is left that could ask. The arguments are the kind of voice and the name
// for notices.
func supervise(args []string) int {
	// It is the program's family that is to be ended or told by signals, and the
	// supervisor ends when they do: all of it but SIGKILL passes by.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGTSTP,
		syscall.SIGTTOU, syscall.SIGTTIN, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGPIPE)
	runtime.LockOSThread() // the maker changes the thread's namespace
	if len(args) != 2 {
		return exitLauncher
	}
	if err := blockSignals(); err != nil {
		return exitLauncher
	}
	closeForeign(mainFd)
	_ = unix.Chdir("/") // keep no file system busy
	listener, steady, err := receiveListener(controlFd)
	if err != nil {
		return 0 // the program could not be filtered, or is nested: nothing to do
	}
	unix.Close(controlFd)
	s := &supervisor{
		name: args[1], asked: args[0] == voiceAsked,
		listener: listener, steady: steady, voice: voiceFd, main: mainFd,
	}
	wakeOnSameCPU(listener)
	if !steady && !canHand(listener) {
		s.cannot = errors.New("this kernel cannot hand over sockets (Linux 5.14 or later can)")
	}
	if s.maker, err = newMaker(); err != nil {
		s.cannot = err
	}
	return s.serve()
}

// blockSignals keeps signals, the runtime's own ones too, from the calling thread:
// see hand. The thread's calls return to the scheduler often enough without them.
func blockSignals() error {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	return unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil)
}

// closeForeign closes the descriptors above last that came with the program and
// are not for the supervisor: held open, they would keep a reader of a pipe
// waiting. The runtime's own are marked close-on-exec, and stay.
func closeForeign(last int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= last {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
	for fd := controlFd; fd <= last; fd++ {
		unix.CloseOnExec(fd)
	}
}

// serve answers until the listener hangs up: nobody with the filter is left.
func (s *supervisor) serve() int {
	for {
		fds := []unix.PollFd{
			{Fd: int32(s.listener), Events: unix.POLLIN},
			{Fd: -1, Events: unix.POLLIN}, // negative descriptors are passed over
			{Fd: int32(s.main), Events: unix.POLLIN},
		}
		if s.asked {
			fds[1].Fd = int32(s.voice)
		}
		if _, err := unix.Poll(fds, -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return exitLauncher
		}
		if fds[0].Revents&unix.POLLIN != 0 {
			s.answer()
		}
		// The news is asked for before the last one is gone.
		if s.asked && fds[1].Revents != 0 {
			s.tell()
		}
		if fds[2].Revents != 0 {
			s.programEnded()
		}
		if fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 && fds[0].Revents&unix.POLLIN == 0 {
			return s.finish()
		}
	}
}

// programEnded lets go of the program's standard error: whoever reads it waits for
// its end, and descendants in the background are no reason to keep it.
func (s *supervisor) programEnded() {
	unix.Close(s.main)
	s.main = -1
	if !s.asked {
		s.hush()
	}
}

// hush closes the voice.
func (s *supervisor) hush() {
	if s.voice >= 0 {
		unix.Close(s.voice)
		s.voice = -1
	}
}

// finish answers the last questions: the process in front asks once more when the
// program is over, and then closes, or ends.
func (s *supervisor) finish() int {
	unix.Close(s.listener)
	s.listener = -1
	for s.asked && s.voice >= 0 {
		fds := []unix.PollFd{{Fd: int32(s.voice), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			break
		}
		s.tell()
	}
	return 0
}

// answer takes one notification and hands the socket over, or lets the program
// make its own.
func (s *supervisor) answer() {
	var n notification
	if receive(s.listener, &n) != nil {
		return // the caller is gone
	}
	c := newCaller(n.pid)
	fd, err := -1, s.cannot
	if err == nil {
		fd, err = s.maker.socket(c, int(int32(n.args[0])), int(int32(n.args[1])))
	}
	if err != nil {
		s.note(s.describe(c, &n), reason(err))
		s.speak()
		_ = letGo(s.listener, n.id) // ENOENT: the caller is gone
		return
	}
	defer unix.Close(fd)
	told := s.describe(c, &n) // as long as the caller is there to be asked
	if s.asked {
		told.Cookie, _ = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	}
	switch err := hand(s.listener, n.id, fd, n.args[1]&unix.SOCK_CLOEXEC != 0, s.steady); {
	case err == nil:
		s.note(told, "")
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINPROGRESS): // gone, or answered
	default: // EMFILE and the like: its own call finds the same words
		_ = letGo(s.listener, n.id)
	}
}

// describe finds out who asks for a socket, if that is to be told.
func (s *supervisor) describe(c caller, n *notification) Socket {
	if !s.asked || s.voice < 0 {
		return Socket{}
	}
	pid, name := c.process()
	return Socket{Family: int(int32(n.args[0])), PID: pid, Name: name, Time: time.Now()}
}

// note keeps what is to be told of a socket.
func (s *supervisor) note(told Socket, why string) {
	if why != "" && why != unremarkable {
		s.news.notice(s.name + ": " + why)
	}
	if !s.asked || s.voice < 0 {
		return
	}
	told.Why = why
	s.news.socket(told)
	if !s.nudged {
		s.nudged = true
		s.send(&answer{Served: true, Alive: true})
	}
}

// speak writes what is to be said to the program's standard error, if that can be
// done without waiting: the one who would have to make room may be waiting for us.
func (s *supervisor) speak() {
	if s.asked || s.voice < 0 || len(s.news.notices) == 0 {
		return
	}
	fds := []unix.PollFd{{Fd: int32(s.voice), Events: unix.POLLOUT}}
	if n, err := unix.Poll(fds, 0); err != nil || n == 0 || fds[0].Revents&unix.POLLOUT == 0 {
		return // next time
	}
	var text []byte
	for _, line := range s.news.notices {
		text = append(append(text, line...), '\n')
	}
	_, _ = unix.Write(s.voice, text) // nobody to tell
	s.news.notices = nil
}

// tell answers a question of the process in front.
func (s *supervisor) tell() {
	var buf [16]byte
	n, _, err := unix.Recvfrom(s.voice, buf[:], unix.MSG_DONTWAIT)
	if err != nil || n == 0 {
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			s.hush() // it is gone
		}
		return
	}
	seq, err := decodeQuestion(buf[:n])
	if err != nil {
		return
	}
	a := answer{Seq: seq, Served: true, Alive: s.listener >= 0 && !hungUp(s.listener)}
	s.news.take(&a)
	s.nudged = false
	s.send(&a)
}

// send sends an answer; it never waits, for there is at most one answer and one
// nudge in the socket.
func (s *supervisor) send(a *answer) {
	b, err := encodeAnswer(a)
	if err == nil {
		err = unix.Send(s.voice, b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	if err != nil {
		s.hush()
	}
}

// hungUp reports whether nobody with the filter is left.
func hungUp(listener int) bool {
	fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&unix.POLLHUP != 0
}

// unremarkable is a reason that needs no notice: the program's own call fails with
// the same words.
const unremarkable = "-"

// reason says why the program gets TCP.
func reason(err error) string {
	switch {
	case errors.Is(err, unix.ENOPROTOOPT):
		return "MPTCP is disabled (sysctl net.mptcp.enabled=0): the program gets TCP"
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL):
		return "this kernel has no MPTCP: the program gets TCP"
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return "the system's policy refuses MPTCP sockets: the program gets TCP"
	case errors.Is(err, unix.EAFNOSUPPORT):
		return unremarkable
	case errors.Is(err, errElsewhere):
		return "a process is " + err.Error() + ": TCP is used there"
	}
	return fmt.Sprintf("no MPTCP socket could be opened (%v): the program gets TCP", err)
}
