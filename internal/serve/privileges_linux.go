package serve

import (
	"context"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/confine"
	"mptcpctl/internal/opener"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// KeptCapabilities returns the capabilities that the server cannot do without.
// Before Linux 6.15 a dump says which subflow belongs to which connection only to
// CAP_NET_ADMIN, and asks for it each time.
func KeptCapabilities(release string) uint32 {
	if sockdiag.PrivilegedSubflows(release) {
		return 1 << unix.CAP_NET_ADMIN
	}
	return 0
}

// confined is what the server keeps outside itself after it has given up its privileges.
type confined struct {
	opener *opener.Opener // nil: there is none
}

// confine gives up what the server needs no longer. A small process keeps the right to look
// into others, to tell which of them hold the connections.
func (c *Config) confine(ctx context.Context, from *Source) *confined {
	kept := &confined{}
	id := c.identity()
	if from.host != nil {
		from.host.KeepTools(ctx)
		kept.ask(id, from, c.Log)
	}
	if err := confine.Become(id, from.keep); err != nil {
		c.Log.Warn("privileges are kept", "error", err, "advice", confine.Advice(err))
	} else if from.keep != 0 {
		c.Log.Info("capabilities are kept", "reason", from.kept)
	}
	for _, name := range c.unreadable() {
		c.Log.Warn("when this file is renewed, the server must be restarted: its user may not read it",
			"file", name, "user", os.Geteuid(), "advice", "let that user read it, or name another with --user")
	}
	if from.roams {
		return kept // to look for namespaces is to look into processes, which Landlock forbids
	}
	switch version, err := confine.Files(c.writable(), c.readable()...); {
	case err != nil:
		c.Log.Warn("files are not out of reach", "error", err)
	case version == 0:
		c.Log.Info("files are not out of reach: this kernel has no Landlock")
	default:
		c.Log.Info("files are out of reach, but what it reads while it serves", "landlock", version)
	}
	return kept
}

// identity returns the user that the server becomes, nil where it stays what it is.
func (c *Config) identity() *confine.Identity {
	if os.Geteuid() != 0 {
		return nil
	}
	if c.Identity != nil {
		return c.Identity
	}
	id, err := confine.Unprivileged()
	if err == nil && !id.Here() {
		return nil // root of a user namespace that has nobody else
	}
	if err != nil {
		c.Log.Warn("the server stays root, without capabilities: there is no user for it",
			"error", err, "advice", "name one with --user")
		return nil
	}
	return id
}

// ask has the host ask the opener for processes, if that starts.
func (k *confined) ask(id *confine.Identity, from *Source, log *slog.Logger) {
	o, err := opener.Start(id, os.Stderr)
	if err != nil {
		log.Warn("processes are not shown", "error", err)
		return
	}
	k.opener = o
	from.host.AskFor(o.Processes)
	from.processes = func(ctx context.Context, inodes map[uint32]bool) (map[uint32][]mptcp.Process, error) {
		walk, err := o.Processes(ctx, inodes)
		return walk.Owners, err
	}
}

// Close ends the opener.
func (k *confined) Close() error {
	if k.opener == nil {
		return nil
	}
	return k.opener.Close()
}

// writable returns the folders that the server writes to.
func (c *Config) writable() []string {
	if c.History == nil {
		return nil
	}
	return []string{c.History.Folder}
}

// readable returns what the server reads while it serves: what the kernel says, the names
// of network namespaces, the time zone, and its secrets, which may be renewed.
func (c *Config) readable() []string {
	paths := []string{"/proc", "/sys", "/run/netns", "/var/run/netns", "/etc/localtime", "/usr/share/zoneinfo"}
	for _, name := range c.secrets() {
		paths = append(paths, folders(name)...)
	}
	return paths
}
