package hostnet_test

import (
	"os"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab/labtest"
)

// A network has the policy of choosing between next hops that its namespace has now, not
// that of when the reader was opened, from whatever thread one asks.
func TestNetworkHasTheHashPolicyOfNow(t *testing.T) {
	ns := labtest.Namespace(t)
	var r *hostnet.Reader
	if err := ns.Do(func() (err error) { r, err = hostnet.New(nil); return err }); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, policy := range []string{"1", "0", "3", "2"} {
		err := ns.Do(func() error {
			return os.WriteFile("/proc/sys/net/ipv4/fib_multipath_hash_policy", []byte(policy), 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
		n, err := r.Network(t.Context())
		if want := policy == "1" || policy == "3"; err != nil || n.HashesPorts4 != want {
			t.Errorf("policy %s: ports count %v, %v", policy, n.HashesPorts4, err)
		}
	}
}
