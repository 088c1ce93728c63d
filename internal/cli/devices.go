package cli

import (
	"strconv"
	"time"
)

// deviceNames finds the names of devices by their indices and remembers them:
// the events of a device's subflows may come after it is gone.
type deviceNames struct {
	known map[int32]knownDevice
}

type knownDevice struct {
	name  string
	asked time.Time
}

// deviceNameFresh is how long a name is believed: devices are renamed.
const deviceNameFresh = 10 * time.Second

func newDeviceNames() *deviceNames { return &deviceNames{known: map[int32]knownDevice{}} }

// Name returns the device's name, "ifN" where there never was one, as iproute2
// does.
func (d *deviceNames) Name(index int32) string {
	device, ok := d.known[index]
	if ok && time.Since(device.asked) < deviceNameFresh {
		return device.name
	}
	if name, err := nameDevice(index); err == nil {
		device.name = name
	} else if !ok {
		device.name = "if" + strconv.Itoa(int(index))
	}
	device.asked = time.Now()
	d.known[index] = device
	return device.name
}
