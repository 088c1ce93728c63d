package live_test

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source/live"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"
)

// inside is a host whose counters are read on a thread in its namespace.
type inside struct {
	*live.Host
	ns    *lab.Namespace
	reads *atomic.Int32
}

func (i inside) Counters(ctx context.Context, netns string) (c track.Counters, err error) {
	err = i.ns.Do(func() (err error) {
		c, err = i.Host.Counters(ctx, netns)
		return err
	})
	i.reads.Add(1)
	return c, err
}

// TestSkippedEndpointIsTheLedgers: of three endpoints one has a subflow, one is of another
// family, and one has an address that is not here. The tracker names the last.
func TestSkippedEndpointIsTheLedgers(t *testing.T) {
	ns := host(t)
	if labtest.KernelBefore(t, 6, 12) {
		labtest.Skip(t, "Linux before 6.12 does not count joins that cannot begin")
	}
	absent := netip.MustParseAddr("10.77.9.9")
	manage(t, ns, func(pm *pathmanager.Client) error {
		for id, address := range map[mptcp.AddressID]netip.Addr{8: netip.MustParseAddr("fd77::8"), 9: absent} {
			e := mptcp.Endpoint{ID: id, Address: address, Flags: mptcp.FlagSubflow}
			if err := pm.AddEndpoint(t.Context(), e); err != nil {
				return err
			}
		}
		return nil
	})
	h := dial(t, ns, &live.Config{Events: &pathmanager.ListenConfig{}})
	from := inside{h, ns, new(atomic.Int32)}
	tracker := track.New(from, &track.Config{Reconcile: 200 * time.Millisecond, Sample: 100 * time.Millisecond})
	deltas := tracker.Deltas(t.Context())
	stop := run(t, tracker)
	var found atomic.Pointer[track.Delta]
	go func() {
		for d, err := range deltas {
			if err == nil && d.Kind == track.KindEndpointSkipped {
				found.CompareAndSwap(nil, new(d))
			}
		}
	}()
	await.True(t, "counters to compare with", func() bool { return from.reads.Load() > 1 })
	pairs(t, ns, 1)
	await.True(t, "the endpoint that was skipped", func() bool { return found.Load() != nil })
	d := found.Load()
	if d.Event.LocalID != 9 || d.Event.Source != absent || d.Confidence < track.Likely ||
		!slices.ContainsFunc(d.Evidence, func(line string) bool {
			return line == "endpoint 9: "+ledger.AddressMissing.String()
		}) {
		t.Errorf("%+v of %v, %v: %q", d.Kind, d.Event.LocalID, d.Confidence, d.Evidence)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
