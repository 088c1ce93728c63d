package cli

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
)

// TestPrometheusScrapes has a real Prometheus scrape the server, with its token,
// and asks Prometheus for what it got.
func TestPrometheusScrapes(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prometheus"); err != nil {
		labtest.Skip(t, "prometheus is not installed")
	}
	ns := loopback(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token := write("token", "a token that nobody guesses\n")
	ready(t, started(t, ns, tool("serve", "--listen", "0.0.0.0:9099", "--token-file", token)))
	config := write("prometheus.yml", fmt.Sprintf(`
global: {scrape_interval: 2s, scrape_timeout: 2s}
scrape_configs:
  - job_name: mptcp
    authorization: {credentials: a token that nobody guesses}
    static_configs: [{targets: ["127.0.0.1:9099"]}]
  - job_name: without-token
    static_configs: [{targets: ["localhost:9099"]}]
rule_files: [%s]
`, mustAbs(t, "../../packaging/prometheus/mptcp.yml")))
	started(t, ns, lab.ProcessConfig{Args: []string{
		"prometheus", "--config.file=" + config,
		"--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:9090",
	}})
	server, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:7001"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := lab.Connect(t.Context(), ns, server.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	query := func(expression string) string {
		return fetch(t, ns, "-G", "http://127.0.0.1:9090/api/v1/query", "--data-urlencode", "query="+expression)
	}
	await.True(t, "both ends of the connection", func() bool {
		return strings.Contains(query(`sum(mptcp_connections{job="mptcp"}) == 2`), `"value":`)
	})
	await.True(t, "the target without a token to be down", func() bool {
		return strings.Contains(query(`up{job="without-token"} == 0`), `"value":`)
	})
	if got := query(`count({__name__=~"mptcp_.*",job="without-token"})`); strings.Contains(got, `"value":`) {
		t.Errorf("metrics without the token: %s", got)
	}
}

func mustAbs(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
