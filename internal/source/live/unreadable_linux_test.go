package live

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"mptcpctl/hostnet"
)

// TestUnreadable: root is not told to become root.
func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		n    int
		root bool
		want string
	}{
		{1, false, "1 process belongs to other users: it may have a network namespace that is left out; root sees all"},
		{2, false, "2 processes belong to other users: they may have network namespaces that are left out; root " +
			"sees all"},
		{1, true, "the kernel hides 1 process even from root: it may have a network namespace that is left out"},
	} {
		if got := unreadable(test.n, test.root).Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}

// TestEntering: who may not enter a namespace is told what is missing.
func TestEntering(t *testing.T) {
	blue := hostnet.NamedNamespace{Name: "blue"}
	for _, test := range []struct {
		err        error
		privileges bool
	}{
		{fmt.Errorf("setns: %w", fs.ErrPermission), true},
		{fs.ErrNotExist, false},
	} {
		got := entering(blue, test.err)
		if !strings.HasPrefix(got.Error(), "network namespace blue is left out: ") || !errors.Is(got, test.err) {
			t.Errorf("%v", got)
		}
		if strings.Contains(got.Error(), "needs CAP_SYS_ADMIN, and CAP_NET_ADMIN in it for events") != test.privileges {
			t.Errorf("%v", got)
		}
	}
}
