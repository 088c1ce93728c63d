package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"mptcpctl/pathmanager"
)

// anyLimits is a path manager of a kernel with a greater maximum than today's.
type anyLimits struct {
	fakePathManager
	set pathmanager.LimitsUpdate
}

func (f *anyLimits) SetLimits(_ context.Context, u pathmanager.LimitsUpdate) error {
	f.set = u
	return nil
}

// TestMaximumOfLimitsIsTheKernels: it was 8 for long, and is 64 since Linux 7.2.
func TestMaximumOfLimitsIsTheKernels(t *testing.T) {
	f := &anyLimits{}
	var stdout, stderr bytes.Buffer
	a := &app{
		Streams: Streams{strings.NewReader(""), &stdout, &stderr},
		program: "mptcpctl",
		dial:    func() (pathManager, error) { return f, nil },
	}
	code := a.main(t.Context(), strings.Fields("limits set subflows 64 add_addr_accepted 300"))
	a.close()
	if code != 0 || stderr.Len() != 0 {
		t.Fatalf("exit %d, %q", code, stderr.String())
	}
	if f.set.Subflows == nil || *f.set.Subflows != 64 || f.set.AddAddrAccepted == nil || *f.set.AddAddrAccepted != 300 {
		t.Errorf("set %+v", f.set)
	}
}
