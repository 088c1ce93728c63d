package procedure_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// pathManagerTool is a command that stands in for the tool: it sets limits and adds
// endpoints.
func pathManagerTool(t testing.TB) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"env", actEnv + "=path manager", self}
}

// actAsPathManager runs `limits set add_addr_accepted N subflows N` and
// `endpoint add ADDRESS [ dev DEV ] [ FLAG … ] [ port N ]`.
func actAsPathManager(args []string) {
	err := withClient(func(c *pathmanager.Client) error {
		if args[0] == "limits" {
			accepted, err1 := strconv.ParseUint(args[3], 10, 32)
			subflows, err2 := strconv.ParseUint(args[5], 10, 32)
			if err1 != nil || err2 != nil {
				return fmt.Errorf("limits: %v", args)
			}
			return c.SetLimits(context.Background(), pathmanager.LimitsUpdate{
				AddAddrAccepted: new(uint32(accepted)), Subflows: new(uint32(subflows)),
			})
		}
		e, err := parseEndpoint(args[2:])
		if err != nil {
			return err
		}
		return c.AddEndpoint(context.Background(), e)
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func parseEndpoint(args []string) (mptcp.Endpoint, error) {
	e := mptcp.Endpoint{Address: netip.MustParseAddr(args[0])}
	for i := 1; i < len(args); i++ {
		switch args[i] {
		case "dev":
			i++
			device, err := net.InterfaceByName(args[i])
			if err != nil {
				return e, err
			}
			e.IfIndex = int32(device.Index)
		case "port":
			i++
			port, err := strconv.ParseUint(args[i], 10, 16)
			if err != nil {
				return e, err
			}
			e.Port = uint16(port)
		default:
			flag, ok := mptcp.ParseEndpointFlag(args[i])
			if !ok {
				return e, fmt.Errorf("flag %q", args[i])
			}
			e.Flags |= flag
		}
	}
	return e, nil
}

// atOnce is how many scenarios run at the same time.
const atOnce = 4

// TestScenariosReachTheirSymptoms brings every scenario about: Start fails unless
// the kernel shows what the scenario says.
func TestScenariosReachTheirSymptoms(t *testing.T) {
	labtest.MPTCP(t)
	tool := pathManagerTool(t)
	places := make(chan struct{}, atOnce)
	for _, s := range scenario.All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
			defer cancel()
			trial, err := procedure.Start(ctx, s, tool)
			labtest.SkipMissing(t, err)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v", trial.Took.Round(time.Millisecond))
			if trial.Host() == nil {
				t.Errorf("no host %q", s.Host)
			}
			if err := trial.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What this kernel cannot show is refused before anything is done, and said.
func TestScenarioOfAnotherKernel(t *testing.T) {
	labtest.MPTCP(t)
	s := find(t, "limit-zero")
	for want, change := range map[string]func(*scenario.Scenario){
		"the counter MPNothing missing": func(s *scenario.Scenario) { s.Needs = "MPNothing" },
		"Linux 99.0 missing":            func(s *scenario.Scenario) { s.Since = lab.Kernel{Major: 99} },
	} {
		s := s
		change(&s)
		trial, err := procedure.Start(t.Context(), s, []string{"false"})
		if err == nil {
			trial.Close()
		}
		if _, ok := errors.AsType[*lab.MissingError](err); !ok || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
