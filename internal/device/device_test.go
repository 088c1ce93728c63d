package device

import (
	"errors"
	"syscall"
	"testing"
)

// Every network namespace has a loopback device, and it is the first.
func TestLoopback(t *testing.T) {
	if index, ok := Index("lo"); !ok || index != 1 {
		t.Errorf("lo has index %d, %v", index, ok)
	}
	if name, ok := Own("", 1); !ok || name != "lo" || Name(1) != "lo" {
		t.Errorf("device 1 is %q, %v", name, ok)
	}
}

func TestDevicesThatAreNotThere(t *testing.T) {
	if _, err := Lookup("none0"); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("none0: %v", err)
	}
	if _, err := NameOf(1 << 30); err == nil {
		t.Error("a device that is not there has a name")
	}
	if got := Name(1 << 30); got != "if1073741824" {
		t.Errorf("it is shown as %q", got)
	}
	if index, ok := Index("if77"); !ok || index != 77 {
		t.Errorf("if77 is %d, %v", index, ok)
	}
	for _, name := range []string{"none0", "if", "if0", "if-1"} {
		if index, ok := Index(name); ok {
			t.Errorf("%s is %d, and there is none", name, index)
		}
	}
}

func TestValidNames(t *testing.T) {
	for name, want := range map[string]bool{
		"eth0":             true,
		"a-b.c:1":          true,
		"":                 false,
		"fifteen-letters":  true,
		"sixteen-letters-": false,
		"a/b":              false,
		"a b":              false,
	} {
		if ValidName(name) != want {
			t.Errorf("%q: %v, want %v", name, !want, want)
		}
	}
}
