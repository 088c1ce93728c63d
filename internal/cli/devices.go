package cli

import (
	"strconv"
	"time"
)

// deviceNames finds the names of devices by their indices and remembers them:
// the events of a device's subflows may come after it is gone.
type deviceNames struct {
	// find returns the name of a device of a network namespace, false where there
	// is none.
	find  func(netns string, index int32) (string, bool)
	netns string // of the event at hand
	known map[deviceKey]knownDevice
}

type deviceKey struct {
	netns string
	index int32
}

type knownDevice struct {
	name  string
	asked time.Time
}

// mostDeviceNames is how many names are remembered: devices of containers come and
// go.
const mostDeviceNames = 1 << 12

// deviceNameFresh is how long a name is believed: devices are renamed.
const deviceNameFresh = 10 * time.Second

// newDeviceNames finds the devices of the program's own namespace.
func newDeviceNames() *deviceNames {
	return &deviceNames{find: ownDevice, known: map[deviceKey]knownDevice{}}
}

// Name returns the device's name, "ifN" where there never was one, as iproute2
// does.
func (d *deviceNames) Name(index int32) string {
	key := deviceKey{d.netns, index}
	device, ok := d.known[key]
	if ok && time.Since(device.asked) < deviceNameFresh {
		return device.name
	}
	if name, found := d.find(d.netns, index); found {
		device.name = name
	} else if !ok {
		device.name = "if" + strconv.Itoa(int(index))
	}
	device.asked = time.Now()
	if len(d.known) >= mostDeviceNames {
		clear(d.known)
	}
	d.known[key] = device
	return device.name
}
