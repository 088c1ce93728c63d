package counters

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mptcpctl/mptcp"
)

// Sysctls are the net.mptcp settings of a network namespace. They apply to
// sockets that are opened afterwards. A nil field is a setting that the kernel
// does not have; [DescribeSysctl] tells since when there is one.
type Sysctls struct {
	Enabled                  *bool
	AddAddrTimeout           *time.Duration
	AddAddrV6PortDropTS      *bool
	AllowJoinInitialAddrPort *bool
	AvailablePathManagers    []string
	AvailableSchedulers      []string
	BlackholeTimeout         *time.Duration
	ChecksumEnabled          *bool
	CloseTimeout             *time.Duration
	PathManager              *string
	PMType                   *uint32
	Scheduler                *string
	StaleLossCount           *uint32
	SynRetransBeforeFallback *uint32

	// Raw holds the text of every setting by its name, those of newer kernels
	// included.
	Raw map[string]string
}

// MarshalJSON returns an object with the texts of Raw.
func (s Sysctls) MarshalJSON() ([]byte, error) { return json.Marshal(s.Raw) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Sysctls) UnmarshalJSON(text []byte) error {
	var raw map[string]string
	err := json.Unmarshal(text, &raw)
	if err == nil {
		*s, err = ParseSysctls(raw)
	}
	return err
}

// PathManagerName returns the path manager that new connections get: "kernel",
// "userspace", or the name of another one. Kernels before 5.19 have only the
// first.
func (s Sysctls) PathManagerName() string {
	switch {
	case s.PathManager != nil:
		return *s.PathManager
	case s.PMType != nil && *s.PMType == 1:
		return "userspace"
	}
	return "kernel"
}

// ParseSysctls returns the settings of which raw holds the texts by name. A text
// that is not of the setting's type is an error; unknown names are kept in Raw.
func ParseSysctls(raw map[string]string) (Sysctls, error) {
	s := Sysctls{Raw: raw}
	var faults []error
	p := settingParser{raw: raw, faults: &faults}
	s.Enabled = p.boolean("enabled")
	s.AddAddrTimeout = p.seconds("add_addr_timeout")
	s.AddAddrV6PortDropTS = p.boolean("add_addr_v6_port_drop_ts")
	s.AllowJoinInitialAddrPort = p.boolean("allow_join_initial_addr_port")
	s.AvailablePathManagers = strings.Fields(raw["available_path_managers"])
	s.AvailableSchedulers = strings.Fields(raw["available_schedulers"])
	s.BlackholeTimeout = p.seconds("blackhole_timeout")
	s.ChecksumEnabled = p.boolean("checksum_enabled")
	s.CloseTimeout = p.seconds("close_timeout")
	s.PathManager = p.word("path_manager")
	s.PMType = p.number("pm_type")
	s.Scheduler = p.word("scheduler")
	s.StaleLossCount = p.number("stale_loss_cnt")
	s.SynRetransBeforeFallback = p.number("syn_retrans_before_tcp_fallback")
	if err := errors.Join(faults...); err != nil {
		return Sysctls{}, err
	}
	return s, nil
}

// settingParser reads settings out of their texts and collects the faults.
type settingParser struct {
	raw    map[string]string
	faults *[]error
}

// number returns a setting that is a number, nil where it is absent.
func (p settingParser) number(name string) *uint32 {
	text, ok := p.raw[name]
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		*p.faults = append(*p.faults, fmt.Errorf("net.mptcp.%s is %q, not a number", name, text))
		return nil
	}
	return new(uint32(n))
}

// boolean returns a setting that is off at 0 and else on.
func (p settingParser) boolean(name string) *bool {
	if n := p.number(name); n != nil {
		return new(*n != 0)
	}
	return nil
}

// seconds returns a setting that is a number of seconds.
func (p settingParser) seconds(name string) *time.Duration {
	if n := p.number(name); n != nil {
		return new(time.Duration(*n) * time.Second)
	}
	return nil
}

// word returns a setting that is a name.
func (p settingParser) word(name string) *string {
	if text, ok := p.raw[name]; ok {
		return new(strings.TrimSpace(text))
	}
	return nil
}

// Sysctls returns the net.mptcp settings. It needs no privilege. On a kernel
// without MPTCP the error is [mptcpctl/mptcp.ErrNotSupported].
func (r *Reader) Sysctls() (Sysctls, error) {
	dir := filepath.Join(r.sys, "net", "mptcp")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Sysctls{}, &Error{Path: dir, Err: mptcp.ErrNotSupported}
	}
	if err != nil {
		return Sysctls{}, fileError(dir, err)
	}
	raw := make(map[string]string, len(entries))
	for _, e := range entries {
		text, err := readLine(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrPermission) {
			continue // one that is only for writing or for root tells nothing
		}
		if err != nil {
			return Sysctls{}, err
		}
		raw[e.Name()] = text
	}
	s, err := ParseSysctls(raw)
	if err != nil {
		return Sysctls{}, &Error{Path: dir, Err: err}
	}
	return s, nil
}

// PathManager returns the path manager that new connections get, as
// [Sysctls.PathManagerName] does, for two files at most instead of all. On a kernel
// without MPTCP the error is [io/fs.ErrNotExist].
func (r *Reader) PathManager() (string, error) {
	dir := filepath.Join(r.sys, "net", "mptcp")
	raw := map[string]string{}
	for _, name := range []string{"path_manager", "pm_type"} {
		text, err := readLine(filepath.Join(dir, name))
		if err == nil {
			raw[name] = text
			break
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return "", err
		}
	}
	if len(raw) == 0 {
		if _, err := os.Stat(dir); err != nil {
			return "", fileError(dir, err)
		}
	}
	s, err := ParseSysctls(raw)
	if err != nil {
		return "", &Error{Path: dir, Err: err}
	}
	return s.PathManagerName(), nil
}
