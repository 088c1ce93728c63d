package mptcpctl_test

import (
	"os"
	"os/exec"
	"testing"
)

// portable are the packages that are about Linux and need none of it: they judge and
// decode what another machine has read.
var portable = []string{
	"./internal/firewall", "./internal/source", "./internal/source/gather", "./internal/source/recording",
}

// The judge of firewall rules and the reader of recordings compile where there is no
// Linux: only files called _linux ask the kernel.
func TestPortablePackages(t *testing.T) {
	vet := exec.Command("go", append([]string{"vet"}, portable...)...)
	vet.Env = append(os.Environ(), "GOOS=darwin", "CGO_ENABLED=0")
	if out, err := vet.CombinedOutput(); err != nil {
		t.Errorf("GOOS=darwin %v: %v\n%s", vet.Args, err, out)
	}
}
