package sockdiag

import (
	"testing"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// The mark of a socket is shown to CAP_NET_ADMIN only.
func TestToldPrivileged(t *testing.T) {
	row := make([]byte, uapi.InetDiagMsgSize)
	shutdown := nlmsg.AppendAttribute(row, uapi.InetDiagShutdown, 0)
	marked := nlmsg.AppendAttribute(shutdown, uapi.InetDiagMark, make([]byte, 4)...)
	for _, tt := range []struct {
		name    string
		payload []byte
		want    bool
	}{
		{"nothing", nil, false},
		{"short", row[:40], false},
		{"no attributes", row, false},
		{"without mark", shutdown, false},
		{"with mark", marked, true},
		{"cut", marked[:len(marked)-6], false},
	} {
		if got := toldPrivileged(tt.payload); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
