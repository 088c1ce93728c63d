package counters

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

func TestReaderTables(t *testing.T) {
	r := New("testdata/6.18")
	for name, tt := range map[string]struct {
		read  func() (Values, error)
		first string
		has   string
	}{
		"MPTCP":   {r.MPTCP, "MPCapableSYNRX", "MPCurrEstab"},
		"TCP":     {r.TCP, "SyncookiesSent", "IPReversePathFilter"},
		"IPExt":   {r.IPExt, "InNoRoutes", "InOctets"},
		"TCPBase": {r.TCPBase, "RtoAlgorithm", "RetransSegs"},
		"IP":      {r.IP, "Forwarding", "OutNoRoutes"},
	} {
		v, err := tt.read()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if v.Names()[0] != tt.first {
			t.Errorf("%s: first is %s, want %s", name, v.Names()[0], tt.first)
		}
		if _, ok := v.Get(tt.has); !ok {
			t.Errorf("%s: no %s", name, tt.has)
		}
	}
}

func TestReaderWithoutMPTCP(t *testing.T) {
	root := t.TempDir()
	r := New(root)
	if _, err := r.MPTCP(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(root, "net"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "net", "netstat")
	if err := os.WriteFile(path, []byte("TcpExt: A\nTcpExt: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := r.MPTCP()
	typed, ok := errors.AsType[*Error](err)
	if !errors.Is(err, mptcp.ErrNotSupported) || !ok || typed.Path != path {
		t.Errorf("kernel without MPTCP: %v", err)
	}
	if _, err := r.Sysctls(); !errors.Is(err, mptcp.ErrNotSupported) {
		t.Errorf("sysctls of a kernel without MPTCP: %v", err)
	}
	if v, err := r.TCP(); err != nil || v.Len() != 1 {
		t.Errorf("TCP: %v, %v", v, err)
	}
}

func TestSysctls(t *testing.T) {
	s, err := New("testdata/6.18").Sysctls()
	if err != nil {
		t.Fatal(err)
	}
	if s.Enabled == nil || !*s.Enabled || *s.AddAddrTimeout != 2*time.Minute || *s.BlackholeTimeout != time.Hour ||
		*s.CloseTimeout != time.Minute || *s.StaleLossCount != 4 || *s.ChecksumEnabled || !*s.AllowJoinInitialAddrPort ||
		*s.SynRetransBeforeFallback != 2 || *s.Scheduler != "default" || s.PathManagerName() != "kernel" ||
		!slices.Equal(s.AvailablePathManagers, []string{"kernel", "userspace"}) {
		t.Errorf("%+v", s)
	}
	if s.AddAddrV6PortDropTS != nil {
		t.Error("Linux 6.18 has no add_addr_v6_port_drop_ts")
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Sysctls
	if err := json.Unmarshal(text, &back); err != nil || !maps.Equal(back.Raw, s.Raw) ||
		*back.CloseTimeout != time.Minute {
		t.Errorf("%s becomes %+v, %v", text, back, err)
	}
}

func TestParseSysctls(t *testing.T) {
	for name, tt := range map[string]struct {
		raw   map[string]string
		pm    string
		fault string
	}{
		"Red Hat Enterprise Linux 8": {raw: map[string]string{"enabled": "0", "add_addr_timeout": "120", "stale_loss_cnt": "4"}, pm: "kernel"},
		"pm_type only":               {raw: map[string]string{"pm_type": "1"}, pm: "userspace"},
		"path_manager wins":          {raw: map[string]string{"pm_type": "0", "path_manager": "bpf"}, pm: "bpf"},
		"nothing":                    {raw: map[string]string{}, pm: "kernel"},
		"a newer kernel's":           {raw: map[string]string{"new_setting": "a b"}, pm: "kernel"},
		"not a number":               {raw: map[string]string{"enabled": "yes"}, fault: `net.mptcp.enabled is "yes"`},
	} {
		s, err := ParseSysctls(tt.raw)
		if tt.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || s.PathManagerName() != tt.pm {
			t.Errorf("%s: %q, %v", name, s.PathManagerName(), err)
		}
	}
}

func TestDeviceConf(t *testing.T) {
	r := New("testdata/6.18")
	all, err := r.IPv4Conf("all")
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.IPv4Conf("wlp1s0")
	if err != nil {
		t.Fatal(err)
	}
	if want := (IPv4Conf{RPFilter: 2, ARPFilter: 1}); c != want || c.Effective(all) != want {
		t.Errorf("%+v, effective %+v", c, c.Effective(all))
	}
	if got := (IPv4Conf{}).Effective(all); got.RPFilter != 1 {
		t.Errorf("a device of its own 0 under all 1: %+v", got)
	}
	six, err := r.IPv6Conf("wlp1s0")
	if want := (IPv6Conf{Disabled: true, UseTempAddr: 2}); err != nil || six != want {
		t.Errorf("%+v, %v", six, err)
	}
	for _, device := range []string{"", "..", "../all", "nodev"} {
		if _, err := r.IPv4Conf(device); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", device, err)
		}
	}
}

func TestNetlinkSockets(t *testing.T) {
	sockets, err := New("testdata/6.18").NetlinkSockets()
	if err != nil {
		t.Fatal(err)
	}
	want := NetlinkSocket{Protocol: 16, PortID: 4242, Drops: 6480, Inode: 99991}
	if !slices.Contains(sockets, want) {
		t.Errorf("no %+v in %+v", want, sockets)
	}
}

func TestProtocols(t *testing.T) {
	protocols, err := New("testdata/6.18").Protocols()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(protocols, func(p Protocol) bool { return p.Name == "MPTCP" })
	if i < 0 {
		t.Errorf("no MPTCP in %+v", protocols)
	}
}

func FuzzColumns(f *testing.F) {
	for _, file := range []string{"netlink", "protocols"} {
		text, err := os.ReadFile("testdata/6.18/net/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseNetlinkSockets(text); (err == nil) != (s != nil) {
			t.Fatalf("%v and %v", s, err)
		}
		p, err := ParseProtocols(text)
		if err != nil {
			if p != nil {
				t.Fatalf("%v and %v", p, err)
			}
			return
		}
		again := "protocol sockets\n"
		for _, row := range p {
			again += row.Name + " " + strconv.FormatInt(row.Sockets, 10) + "\n"
		}
		if q, err := ParseProtocols(again); err != nil || !slices.Equal(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}
