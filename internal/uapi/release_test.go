package uapi

import "testing"

func TestReleaseBefore(t *testing.T) {
	for release, want := range map[string][2]bool{
		"6.14.9": {true, true}, "6.12.30+deb13-amd64": {true, true}, "5.14.0-570.el9": {true, true}, "6.2-rc1": {true, true},
		"6.15.0-rc1": {false, true}, "6.18.44": {false, true}, "7.0": {false, true}, "10.1": {false, true},
		"": {}, "6": {}, "rubbish": {},
	} {
		if before, ok := ReleaseBefore(release, 6, 15); before != want[0] || ok != want[1] {
			t.Errorf("%q: before 6.15 %v, read %v, want %v", release, before, ok, want)
		}
	}
}
