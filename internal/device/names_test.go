package device

import "testing"

// The names of devices that come and go are not remembered for ever.
func TestDeviceNamesAreForgotten(t *testing.T) {
	d := NewNames()
	d.Find = func(string, int32) (string, bool) { return "veth", true }
	for index := range int32(3 * mostNames) {
		if got := d.Name(index); got != "veth" {
			t.Fatal(got)
		}
	}
	if n := len(d.known); n > mostNames {
		t.Errorf("%d names are remembered", n)
	}
}
