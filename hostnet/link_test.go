package hostnet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab/labtest"
)

// Which links are wireless is in sysfs, which may be that of another namespace.
func TestWirelessLinks(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(
		t,
		client,
		server,
		cable{"wlan0", "10.1.0.2/24", 0},
		cable{"wlan1", "10.2.0.2/24", 0},
		cable{"eth0", "10.3.0.2/24", 0},
	)
	n, err := reader(t, client).Network(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sys := t.TempDir()
	for name, index := range map[string]int{"wlan0": 0, "wlan1": 1000} { // wlan1 has another index: it is another link
		l, _ := n.LinkByName(name)
		dir := filepath.Join(sys, "class", "net", name)
		if err := os.MkdirAll(filepath.Join(dir, "phy80211"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "ifindex"), fmt.Appendln(nil, l.Index+index), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var r *hostnet.Reader
	do(t, client, func() (err error) {
		r, err = hostnet.New(&hostnet.Config{Sys: sys})
		return err
	})
	defer r.Close()
	links, err := r.Links(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Wireless != (l.Name == "wlan0") {
			t.Errorf("%s: wireless %v", l.Name, l.Wireless)
		}
	}
}

// One reader serves several goroutines.
func TestReaderIsShared(t *testing.T) {
	client, server := labtest.Namespace(t), labtest.Namespace(t)
	connect(t, client, server, cable{"eth0", "10.1.0.2/24", 0})
	r := reader(t, client)
	names := hostnet.NewNames(r)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				n, err := r.Network(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if l, ok := n.LinkByName("eth0"); !ok || names.Name(l.Index) != "eth0" || len(n.Addresses) == 0 {
					t.Errorf("%+v", n)
				}
			}
		})
	}
	all.Wait()
}
