package hostnet_test

import (
	"io"
	"os"
	"testing"

	"mptcpctl/internal/lab/labtest"
)

// holdEnv makes the test binary a process that only holds its descriptors until
// its standard input ends.
const holdEnv = "MPTCPCTL_TEST_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdEnv) != "" {
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			os.Exit(1)
		}
		return
	}
	labtest.Main(m)
}
