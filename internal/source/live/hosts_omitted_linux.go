package live

import (
	"errors"
	"fmt"
	"io/fs"

	"mptcpctl/hostnet"

	"golang.org/x/sys/unix"
)

// warn tells of what is left out, once for each subject.
func (h *Hosts) warn(subject string, err error) {
	h.mu.Lock()
	told := h.warned[subject]
	h.warned[subject] = true
	h.mu.Unlock()
	if !told && h.config.Warn != nil {
		h.config.Warn(err)
	}
}

// forget has the next warning about the subject be given again.
func (h *Hosts) forget(subject string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.warned, subject)
}

// unreadable tells of processes whose network namespace the kernel does not tell
// us.
func unreadable(n int, root bool) error {
	what, have, belong := "1 process", "it may have a network namespace that is", "belongs"
	if n != 1 {
		what, have, belong = fmt.Sprintf("%d processes", n), "they may have network namespaces that are", "belong"
	}
	if root {
		return fmt.Errorf("the kernel hides %s even from root: %s left out", what, have)
	}
	return fmt.Errorf("%s %s to other users: %s left out; root sees all", what, belong, have)
}

// entering says what is missing to enter a namespace.
func entering(n hostnet.NamedNamespace, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf(
			"network namespace %v is left out: entering it needs CAP_SYS_ADMIN, and CAP_NET_ADMIN in it for events: %w",
			n, err,
		)
	}
	return fmt.Errorf("network namespace %v is left out: %w", n, err)
}

// Open files that a member takes, and that are kept for all else; and how many members
// there may be.
const (
	descriptorsEach = 12
	descriptorsKept = 1200
	mostMembers     = 4096 // each takes a third of a megabyte for its sockets' buffers
)

// room returns how many more namespaces may be opened before the process has as many
// open files as it may have.
func (h *Hosts) room() int {
	most := openFiles()
	h.mu.Lock()
	defer h.mu.Unlock()
	return min(mostMembers, (most-min(descriptorsKept, most/4))/descriptorsEach) - len(h.members)
}

// openFiles returns how many files the process may have open.
func openFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<30))
}

// crowded says that namespaces are left out for want of descriptors.
func crowded(left, all int) error {
	if all-left >= mostMembers {
		return fmt.Errorf(
			"%d of %d network namespaces are left out: one process looks into at most %d; others can be looked "+
				"into one by one (-n)",
			left,
			all,
			mostMembers,
		)
	}
	return fmt.Errorf(
		"%d of %d network namespaces are left out: each takes %d open files, and this process may have %d "+
			"(RLIMIT_NOFILE: `ulimit -n`, or LimitNOFILE= of a unit, raises that)",
		left,
		all,
		descriptorsEach,
		openFiles(),
	)
}
