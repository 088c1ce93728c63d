package enter

import "testing"

// What is typed for another network namespace must not change the reader's own.
func TestLine(t *testing.T) {
	for _, c := range [...]struct{ fix, named, pid string }{
		{"sysctl -w net.mptcp.enabled=1", "ip netns exec blue sysctl -w net.mptcp.enabled=1", "nsenter -n -t 42 sysctl -w net.mptcp.enabled=1"},
		{"mptcpctl limits set subflows 2", "mptcpctl -n blue limits set subflows 2", "mptcpctl -n 42 limits set subflows 2"},
		{"ip link set eth1 up", "ip -n blue link set eth1 up", "nsenter -n -t 42 ip link set eth1 up"},
		{
			"or: mptcpctl endpoint delete id 1 && mptcpctl endpoint add 10.0.0.1 signal   (mptcpctl does it: at once)",
			"or: mptcpctl -n blue endpoint delete id 1 && mptcpctl -n blue endpoint add 10.0.0.1 signal   (mptcpctl " +
				"does it: at once)",
			"or: mptcpctl -n 42 endpoint delete id 1 && mptcpctl -n 42 endpoint add 10.0.0.1 signal   (mptcpctl " +
				"does it: at once)",
		},
		{"behind a load balancer: sysctl -w a=0", "behind a load balancer: ip netns exec blue sysctl -w a=0", "behind a load balancer: nsenter -n -t 42 sysctl -w a=0"},
		{"on the peer: mptcpctl limits set subflows 2", "", ""},
		{"or on the peer: sysctl -w a=1", "", ""},
		{"let the program on the peer use MPTCP (there: mptcpctl run -- COMMAND), with net.mptcp.enabled=1", "", ""},
		{"mptcpctl -n red endpoint add 10.0.0.1   (there)", "", ""},
		{"mptcpctl -a connection show", "", ""},
		{"sysctl -w net.core.rmem_max=67108864   (or run with CAP_NET_ADMIN of the host)", "", ""},
		{"nothing to do: this is normal", "", ""},
		{"systemctl start mptcp", "", ""},
		{"ipsec: ", "", ""},
		{"", "", ""},
	} {
		if want := wantOr(c.named, c.fix); Line(c.fix, "blue", "ip netns exec blue ") != want {
			t.Errorf("by name %q: got %q, want %q", c.fix, Line(c.fix, "blue", "ip netns exec blue "), want)
		}
		if want := wantOr(c.pid, c.fix); Line(c.fix, "42", "nsenter -n -t 42 ") != want {
			t.Errorf("by process %q: got %q, want %q", c.fix, Line(c.fix, "42", "nsenter -n -t 42 "), want)
		}
	}
}

func wantOr(want, otherwise string) string {
	if want == "" {
		return otherwise
	}
	return want
}
