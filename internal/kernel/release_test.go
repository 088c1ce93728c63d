package kernel

import (
	"os"
	"strings"
	"testing"
)

func TestBefore(t *testing.T) {
	for release, want := range map[string][2]bool{
		"6.14.9":              {true, true},
		"6.12.30+deb13-amd64": {true, true},
		"5.14.0-570.el9":      {true, true},
		"6.2-rc1":             {true, true},
		"6.15.0-rc1":          {false, true}, "6.18.44": {false, true}, "7.0": {false, true}, "10.1": {false, true},
		"": {}, "6": {}, "rubbish": {},
	} {
		if before, ok := Before(release, 6, 15); before != want[0] || ok != want[1] {
			t.Errorf("%q: before 6.15 %v, read %v, want %v", release, before, ok, want)
		}
	}
}

// The release is the one that the kernel shows in /proc.
func TestRelease(t *testing.T) {
	want, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	if got := Release(); got == "" || got != strings.TrimSpace(string(want)) {
		t.Errorf("release %q, want %q", got, want)
	}
	if _, ok := Before(Release(), 5, 6); !ok {
		t.Errorf("release %q cannot be compared", Release())
	}
}
