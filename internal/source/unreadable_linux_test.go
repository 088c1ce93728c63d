package source

import "testing"

// TestUnreadable: root is not told to become root.
func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		n    int
		root bool
		want string
	}{
		{1, false, "1 process belongs to others: it may have a network namespace that is left out; root sees all"},
		{2, false, "2 processes belong to others: they may have network namespaces that are left out; root sees all"},
		{1, true, "the kernel keeps 1 process from view, also from root: it may have a network namespace that is left out"},
	} {
		if got := unreadable(test.n, test.root).Error(); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
