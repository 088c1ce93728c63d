package source_test

import (
	"os"
	"testing"

	"mptcpctl/internal/lab/labtest"
)

// TestMain is also the main of the forger, which a test starts from this binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == forgerArg {
		os.Exit(forger())
	}
	labtest.Main(m)
}
