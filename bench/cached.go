package main

import (
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// cachePrograms prepares the files of the programs under test.
func (s *settings) cachePrograms() error {
	for _, program := range append([]string{s.tool("mptcpctl"), s.ss}, s.ips...) {
		path, err := exec.LookPath(program)
		if err != nil {
			continue // the sections that need it tell
		}
		if err := cache(path); err != nil {
			return err
		}
	}
	return nil
}

// cache reads a program from its file into memory, from front to back. A program
// starts up to a fifth later where its pages came there by one, as a linker or a
// first start leaves them: that is not what is compared.
func cache(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil { // only what is written can be let go of
		return err
	}
	// What runs at the moment stays as it is.
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, f)
	return err
}
