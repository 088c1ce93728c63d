package look

import (
	"testing"

	"mptcpctl/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }
