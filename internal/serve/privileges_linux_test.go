package serve

import "testing"

func TestKeptCapabilities(t *testing.T) {
	for release, none := range map[string]bool{"6.18.44": true, "6.15.0-rc1": true, "7.0": true, "6.14.9": false, "6.12.30+deb13": false, "5.14.0-570.el9": false, "rubbish": false} {
		if got := KeptCapabilities(release) == 0; got != none {
			t.Errorf("%s: none kept is %v, want %v", release, got, none)
		}
	}
}
