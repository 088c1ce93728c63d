package confine

import (
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	"github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// ownRights are those to regular files of a folder.
const ownRights = syscall.AccessFSReadFile | syscall.AccessFSReadDir | syscall.AccessFSWriteFile |
	syscall.AccessFSRemoveFile | syscall.AccessFSMakeReg | syscall.AccessFSTruncate

// Files leaves the process only the reading of these directories and files, by Landlock. Those
// that do not exist, or that this user cannot reach, are left out. The process can write,
// create and execute nothing any more, and neither bind nor connect a socket of plain TCP
// (those of MPTCP are not restricted). A kernel that knows a part of this only enforces that
// part; it has none before Linux 5.13. Files reports how much there is, 0 for nothing.
//
// Landlock also forbids to look into other processes as a tracer would: whose sockets they
// hold, which namespaces they are in.
//
// What is in the folders own the process may also write, create and remove.
func Files(own []string, paths ...string) (version int, err error) {
	version, err = syscall.LandlockGetABIVersion()
	if err != nil || version <= 0 {
		return 0, nil // the kernel has none: nothing is left to try
	}
	var rules []landlock.Rule
	for _, folder := range own {
		rules = append(rules, landlock.PathAccess(landlock.AccessFSSet(ownRights), folder))
	}
	for _, path := range paths {
		if unix.Access(path, unix.F_OK) != nil {
			continue // what cannot be reached now needs no rule
		}
		read := landlock.AccessFSSet(syscall.AccessFSReadFile)
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			read |= syscall.AccessFSReadDir // a right that the kernel refuses for a file
		}
		rules = append(rules, landlock.PathAccess(read, path).IgnoreIfMissing())
	}
	if err := landlock.V5.BestEffort().Restrict(rules...); err != nil {
		return 0, fmt.Errorf("landlock: %w", err)
	}
	return version, nil
}
