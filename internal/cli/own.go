package cli

import (
	"os"
	"path/filepath"
)

// ownCommand returns the command that starts this program again. Its file's name
// is the process's name, so that it is taken where it is the one that was called.
func ownCommand() []string {
	self, err := os.Executable()
	if err != nil || filepath.Base(self) != filepath.Base(os.Args[0]) {
		return []string{"/proc/self/exe"}
	}
	return []string{self}
}
