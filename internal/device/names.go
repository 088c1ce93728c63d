package device

import (
	"strconv"
	"time"
)

// Names finds the names of devices by their indices and remembers them: the events of a
// device's subflows may come after it is gone.
type Names struct {
	// Find returns the name of a device of a network namespace, false where there
	// is none.
	Find  func(netns string, index int32) (string, bool)
	Netns string // of the event at hand
	known map[key]entry
}

type key struct {
	netns string
	index int32
}

type entry struct {
	name  string
	asked time.Time
}

// mostNames is how many names are remembered: devices of containers come and go.
const mostNames = 1 << 12

// fresh is how long a name is believed: devices are renamed.
const fresh = 10 * time.Second

// NewNames finds the devices of the program's own namespace.
func NewNames() *Names {
	return &Names{Find: Own, known: map[key]entry{}}
}

// Name returns the device's name, "ifN" where there never was one, as iproute2
// does.
func (d *Names) Name(index int32) string {
	k := key{d.Netns, index}
	device, ok := d.known[k]
	if ok && time.Since(device.asked) < fresh {
		return device.name
	}
	if name, found := d.Find(d.Netns, index); found {
		device.name = name
	} else if !ok {
		device.name = "if" + strconv.Itoa(int(index))
	}
	device.asked = time.Now()
	if len(d.known) >= mostNames {
		clear(d.known)
	}
	d.known[k] = device
	return device.name
}
