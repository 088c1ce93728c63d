package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"mptcpctl/hostnet"
	"mptcpctl/internal/thread"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace of the lab: it ends when it is closed and
// nothing runs in it any more.
type Namespace struct {
	*hostnet.Namespace
}

// NewNamespace makes a network namespace with its loopback link up, and MPTCP on
// where a new namespace has it off (RHEL). It needs CAP_SYS_ADMIN in the user
// namespace: see [Enter].
func NewNamespace() (*Namespace, error) {
	var ns *Namespace
	err := thread.Run(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("new network namespace: %w", err)
		}
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("loopback link: %w", err)
		}
		if err := netlink.LinkSetUp(lo); err != nil {
			return fmt.Errorf("loopback link up: %w", err)
		}
		enableMPTCP()
		current, err := hostnet.CurrentNamespace()
		ns = &Namespace{current}
		return err
	})
	return ns, err
}

// Command returns a command whose process is to start in the namespace: start it
// with [Namespace.Start].
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, name, args...)
}

// Start starts the command in the namespace: a child inherits the namespace of
// the thread that forks it. (A parent-death signal would fire when that thread
// ends: do not set one.)
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// enableMPTCP switches MPTCP on in the calling thread's namespace if it is off.
// Where that fails, [CheckMPTCP] says what is missing.
func enableMPTCP() {
	const name = "/proc/sys/net/mptcp/enabled"
	if value, err := os.ReadFile(name); err == nil && strings.TrimSpace(string(value)) == "0" {
		_ = os.WriteFile(name, []byte("1"), 0)
	}
}
