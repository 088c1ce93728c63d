package sockdiag

import (
	"testing"

	"mptcpctl/internal/uapi"
)

// The mark of a socket is shown to CAP_NET_ADMIN only.
func TestToldPrivileged(t *testing.T) {
	row := make([]byte, uapi.InetDiagMsgSize)
	shutdown := appendAttribute(row, uapi.InetDiagShutdown, []byte{0})
	marked := appendAttribute(shutdown, uapi.InetDiagMark, make([]byte, 4))
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
