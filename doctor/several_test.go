package doctor

import (
	"slices"
	"testing"
)

// A name that is only digits is a name.
func TestEnter(t *testing.T) {
	for _, c := range [...]struct {
		facts Facts
		want  string
	}{
		{Facts{}, "sysctl a"},
		{Facts{Netns: "docker 0123456789ab"}, "sysctl a"},
		{Facts{Netns: "docker 0123456789ab", Enter: "7"}, "nsenter -n -t 7 sysctl a"},
		{Facts{Enter: "7"}, "nsenter -n -t 7 sysctl a"},
		{Facts{Netns: "7", Enter: "7"}, "ip netns exec 7 sysctl a"},
		{Facts{Enter: "blue"}, "ip netns exec blue sysctl a"},
		{Facts{Enter: "/proc/7/ns/net"}, "nsenter --net=/proc/7/ns/net sysctl a"},
		{Facts{Netns: "a b", Enter: "a b"}, "ip netns exec 'a b' sysctl a"},
	} {
		if got := c.facts.enter([]string{"sysctl a"})[0]; got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.facts.Netns, c.facts.Enter, got, c.want)
		}
	}
}

// TestDiagnoseAll: what is of the host is told once, what is of a namespace with its
// name, and what could be seen nowhere once.
func TestDiagnoseAll(t *testing.T) {
	off := false
	hidden, here := Gap{What: "the firewall", Why: "CAP_NET_ADMIN"}, Gap{What: "events", Why: "not recorded"}
	facts := []Facts{
		{Netns: "pid 1", Kernel: kernelOf("6.18.0"), IPRoute2: "6.1.0", Unseen: []Gap{hidden}},
		{Netns: "blue", Enter: "blue", Kernel: kernelOf("6.18.0"), IPRoute2: "6.1.0", Unseen: []Gap{hidden, here}},
		{Netns: "red", Enter: "red", Kernel: kernelOf("6.18.0"), IPRoute2: "6.1.0", Unseen: []Gap{hidden}},
	}
	for i := 1; i < len(facts); i++ {
		facts[i].Sysctls.Enabled = &off
	}
	r := DiagnoseAll(facts)
	var told []string
	for _, f := range r.Findings {
		told = append(told, string(f.Rule)+" "+f.Subject.Netns+" "+f.Fix[0])
	}
	want := []string{
		"D02 blue ip netns exec blue sysctl -w net.mptcp.enabled=1",
		"D02 red ip netns exec red sysctl -w net.mptcp.enabled=1",
		"D50  use mptcpctl monitor, endpoint and limits instead",
	}
	if !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
	if gaps := []Gap{hidden, {What: "events of blue", Why: "not recorded"}}; !slices.Equal(r.Unseen, gaps) {
		t.Errorf("unseen %v, want %v", r.Unseen, gaps)
	}
	if r.Verdict != Failure {
		t.Errorf("verdict %v", r.Verdict)
	}
	if one := DiagnoseAll(facts[1:2]); one.Findings[0].Subject.Netns != "blue" {
		t.Errorf("one alone: %+v", one.Findings[0])
	}
	if none := DiagnoseAll(nil); none.Verdict != Healthy || none.Findings == nil {
		t.Errorf("none: %+v", none)
	}
}

func kernelOf(release string) Kernel { return Kernel{Release: release, SocketTried: true} }
