package counters

import (
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// IPv4Conf are the settings of net.ipv4.conf.DEVICE that decide whether a second
// path over that device works.
type IPv4Conf struct {
	RPFilter    int `json:"rp_filter"`    // 0 off, 1 strict, 2 loose
	ARPFilter   int `json:"arp_filter"`   // 1: answer ARP only where a packet to the asker would leave
	ARPIgnore   int `json:"arp_ignore"`   // 1 and more: answer ARP only for addresses of the asked device
	ARPAnnounce int `json:"arp_announce"` // 0: any local address may be the source of an ARP request
}

// Effective returns the settings that the kernel applies to the device, given
// those of the pseudo device "all": of each the greater one.
func (c IPv4Conf) Effective(all IPv4Conf) IPv4Conf {
	return IPv4Conf{
		RPFilter:    max(c.RPFilter, all.RPFilter),
		ARPFilter:   max(c.ARPFilter, all.ARPFilter),
		ARPIgnore:   max(c.ARPIgnore, all.ARPIgnore),
		ARPAnnounce: max(c.ARPAnnounce, all.ARPAnnounce),
	}
}

// IPv6Conf are the settings of net.ipv6.conf.DEVICE that decide whether the
// device has usable addresses.
type IPv6Conf struct {
	Disabled    bool `json:"disable_ipv6"`
	UseTempAddr int  `json:"use_tempaddr"` // 2: temporary addresses are preferred as source
	Forwarding  bool `json:"forwarding"`   // router: advertisements are ignored by default
}

// IPv4Conf returns the settings of a device, or of "all" or "default", as they
// are written; see [IPv4Conf.Effective]. The error is [io/fs.ErrNotExist] for a
// device that is not in the namespace.
func (r *Reader) IPv4Conf(device string) (IPv4Conf, error) {
	var c IPv4Conf
	err := r.deviceConf("ipv4", device, map[string]*int{
		"rp_filter":    &c.RPFilter,
		"arp_filter":   &c.ARPFilter,
		"arp_ignore":   &c.ARPIgnore,
		"arp_announce": &c.ARPAnnounce,
	})
	if err != nil {
		return IPv4Conf{}, err
	}
	return c, nil
}

// IPv6Conf returns the settings of a device, or of "all" or "default". The error
// is [io/fs.ErrNotExist] for a device that is not in the namespace, and where the
// kernel has no IPv6.
func (r *Reader) IPv6Conf(device string) (IPv6Conf, error) {
	var disabled, temporary, forwarding int
	err := r.deviceConf("ipv6", device, map[string]*int{
		"disable_ipv6": &disabled,
		"use_tempaddr": &temporary,
		"forwarding":   &forwarding,
	})
	if err != nil {
		return IPv6Conf{}, err
	}
	return IPv6Conf{Disabled: disabled != 0, UseTempAddr: temporary, Forwarding: forwarding != 0}, nil
}

// deviceConf reads numbers of net.FAMILY.conf.DEVICE.
func (r *Reader) deviceConf(family, device string, into map[string]*int) error {
	dir := filepath.Join(r.sys, "net", family, "conf")
	if device == "" || device == "." || device == ".." || strings.ContainsRune(device, '/') {
		return &Error{Path: dir, Err: fs.ErrNotExist} // no device can have such a name
	}
	for name, value := range into {
		path := filepath.Join(dir, device, name)
		text, err := readLine(path)
		if err != nil {
			return err
		}
		if *value, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
			return &Error{Path: path, Err: err}
		}
	}
	return nil
}
