package lab

import (
	"errors"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// makeTunnel makes a tunnel device in the calling thread's namespace and returns its
// other end, which nobody reads. The device goes when that is closed.
func makeTunnel(t Tunnel) (*os.File, error) {
	const path = "/dev/net/tun"
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &MissingError{What: "tunnel devices", Why: path + " cannot be opened", Err: err}
	}
	request, err := unix.NewIfreq(t.Name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(int(file.Fd()), unix.TUNSETIFF, request)
	}
	if err == nil {
		err = setLink(t.Name, func(device netlink.Link) error {
			return errors.Join(netlink.LinkSetUp(device), addAddress(device, t.Address, 0))
		})
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
