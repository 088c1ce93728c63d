package cli

import (
	"encoding/json"
	"net/netip"
	"os"
	"strings"
	"testing"

	"mptcpctl/internal/policy"
	"mptcpctl/mptcp"
)

// TestFilesOfTheLastRelease reads what the program at commit c3bbcfe (November 2026) wrote
// in one world: a client with an endpoint whose first connection has two subflows, and
// whose second is refused one by the server's limit. See testdata/upgrade.
func TestFilesOfTheLastRelease(t *testing.T) {
	for _, test := range []struct {
		args string
		code int
		want []string
	}{
		{"--replay plain.pcapng connection", 0, []string{"27382fdc established client", "subflows 2", "ee9161b8", "id 1:0 dev e2"}},
		{"--replay packed.pcapng.gz connection", 0, []string{"27382fdc established client", "process python3"}},
		{"--replay plain.pcapng monitor", 0, []string{"[  SF_ESTABLISHED] token=27382fdc", "[       SF_CLOSED] token=ee9161b8"}},
		{"--replay packed.pcapng.gz -d monitor", 0, []string{"[  SF_ESTABLISHED] token=27382fdc"}},
		{"--replay plain.pcapng doctor", 2, []string{"FAIL D16 the peer accepts no further subflow", "endpoint 10.9.2.2 id 1, device e2"}},
		{"--replay plain.pcapng endpoint", 0, []string{"10.9.2.2 id 1 subflow dev e2"}},
		{"--replay plain.pcapng limits", 0, []string{"add_addr_accepted 4 subflows 4"}},
		{"--replay plain.pcapng counters", 0, []string{"MPJoinSynTx"}},
		{"doctor --from bundle.gz", 2, []string{"FAIL D16", "connection ee9161b8", "10.9.2.2"}},
		{"doctor --from hidden.gz", 2, []string{"FAIL D16", "connection ee9161b8", "dev1"}},
	} {
		t.Run(test.args, func(t *testing.T) {
			args := strings.Fields(test.args)
			for i := range args {
				if strings.Contains(args[i], ".") {
					args[i] = "testdata/upgrade/" + args[i]
				}
			}
			out, errs, code := ranHere(t, args...)
			if code != test.code || errs != "" {
				t.Errorf("exit %d, want %d: %s", code, test.code, errs)
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
}

// TestPolicyRecordOfTheLastRelease: what a policy had made is still known as its own.
func TestPolicyRecordOfTheLastRelease(t *testing.T) {
	text, err := os.ReadFile("testdata/upgrade/policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var s policy.State
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if len(s.Endpoints) != 1 || s.Endpoints[0].Address != netip.MustParseAddr("10.9.2.2") || s.Endpoints[0].ID != 1 ||
		s.Endpoints[0].Flags != mptcp.FlagSubflow {
		t.Errorf("%+v", s)
	}
}
