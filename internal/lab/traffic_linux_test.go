package lab_test

import (
	"context"
	"net/netip"
	"os/exec"
	"sync"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
)

// TestServeAgain starts servers one after the other at one port while processes are started,
// which have copies of the closed listeners until they run their programs.
func TestServeAgain(t *testing.T) {
	ns := labtest.Namespace(t)
	ctx, stop := context.WithCancel(t.Context())
	var starters sync.WaitGroup
	for range 4 {
		starters.Go(func() {
			for ctx.Err() == nil {
				if err := exec.Command("/bin/true").Run(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 300 {
		s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:7001"), nil)
		if err != nil {
			t.Error(err)
			break
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	stop()
	starters.Wait()
}
