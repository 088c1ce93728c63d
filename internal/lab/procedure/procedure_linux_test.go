package procedure_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/netcat"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/sockdiag"
)

// tool is a small stand-in for the commands that the procedure types: the real
// kernel's path manager and events, and texts of our own. fault names what it does
// wrong.
func tool(fault string, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	command := strings.Join(args[:min(2, len(args))], " ")
	switch {
	case command == "limits set":
		return withClient(func(c *pathmanager.Client) error {
			return c.SetLimits(ctx, pathmanager.LimitsUpdate{AddAddrAccepted: new(uint32(0)), Subflows: new(uint32(1))})
		})
	case command == "limits show":
		return withClient(func(c *pathmanager.Client) error {
			limits, err := c.Limits(ctx)
			fmt.Printf("add_addr_accepted %d subflows %d \n", limits.AddAddrAccepted, limits.Subflows)
			return err
		})
	case command == "paths to":
		fmt.Println("192.0.2.2 dev enp1s0 metric 100  initial subflow\n192.0.2.3 dev wlp1s0 metric 600")
		return nil
	case command == "monitor":
		return monitor(ctx)
	case args[0] == "nc" && args[1] == "-l":
		return netcat.Run(
			ctx,
			netcat.Options{Listen: true, KeepOpen: true, Port: args[4]},
			os.Stdin,
			os.Stdout,
			os.Stderr,
		)
	case args[0] == "nc":
		return netcat.Run(ctx, netcat.Options{Host: args[1], Port: args[2]}, os.Stdin, os.Stdout, os.Stderr)
	case command == "endpoint add":
		device, err := net.InterfaceByName(args[3])
		if err != nil {
			return err
		}
		e := mptcp.Endpoint{
			Address: netip.MustParseAddr(args[4]),
			IfIndex: int32(device.Index),
			Flags:   mptcp.FlagSubflow,
		}
		if fault == "no device" {
			e.IfIndex = 0
		}
		return withClient(func(c *pathmanager.Client) error { return c.AddEndpoint(ctx, e) })
	case command == "endpoint show":
		return withClient(func(c *pathmanager.Client) error {
			for e, err := range c.Endpoints(ctx) {
				if err != nil {
					return err
				}
				fmt.Printf("%s id %d %s dev wlp1s0 \n", e.Address, e.ID, e.Flags)
			}
			return nil
		})
	case command == "endpoint delete":
		return withClient(func(c *pathmanager.Client) error {
			for e, err := range c.Endpoints(ctx) {
				if err != nil {
					return err
				}
				return c.RemoveEndpoint(ctx, e.ID)
			}
			return nil
		})
	case command == "connection show":
		return showConnection(ctx, fault)
	}
	return fmt.Errorf("unknown command %v", args)
}

func withClient(do func(*pathmanager.Client) error) error {
	c, err := pathmanager.Dial(nil)
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

// monitor prints events in iproute2's form.
func monitor(ctx context.Context) error {
	l, err := pathmanager.Listen(nil)
	if err != nil {
		return err
	}
	defer l.Close()
	for e, err := range l.Events(ctx) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		name := map[mptcp.EventType]string{
			mptcp.EventCreated: "CREATED", mptcp.EventEstablished: "ESTABLISHED", mptcp.EventClosed: "CLOSED",
			mptcp.EventSubflowEstablished: "SF_ESTABLISHED", mptcp.EventSubflowClosed: "SF_CLOSED",
		}[e.Type]
		fmt.Printf("[%16s] token=%s", name, e.Token)
		if e.Type != mptcp.EventClosed {
			fmt.Printf(" remid=%d locid=%d saddr4=%s daddr4=%s sport=%d dport=%d", e.RemoteID, e.LocalID,
				e.Source, e.Destination, e.Sport, e.Dport)
		}
		if e.Type == mptcp.EventSubflowEstablished || e.Type == mptcp.EventSubflowClosed {
			fmt.Printf(" backup=0 ifindex=%d", e.IfIndex)
		}
		fmt.Println()
	}
	return nil
}

func showConnection(ctx context.Context, fault string) error {
	if fault == "blind" {
		return nil
	}
	diag, err := sockdiag.Dial(nil)
	if err != nil {
		return err
	}
	defer diag.Close()
	for c, err := range diag.Connections(ctx, nil) {
		if err != nil {
			return err
		}
		fmt.Printf("%s %s to %s\n", c.Info.Token, c.Local, c.Remote)
	}
	return withClient(func(c *pathmanager.Client) error {
		for e, err := range c.Endpoints(ctx) {
			if err != nil {
				return err
			}
			fmt.Printf("  subflow %s%%wlp1s0\n", e.Address)
		}
		return nil
	})
}

func run(t *testing.T, ctx context.Context, fault string) (procedure.Report, string, error) {
	t.Helper()
	labtest.MPTCP(t)
	t.Setenv(actEnv, "tool")
	t.Setenv(faultEnv, fault)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each command of a race test ends a second late
	var told bytes.Buffer
	report, err := procedure.Run(ctx, procedure.TextNarrator(&told), []string{"/proc/self/exe"})
	return report, told.String(), err
}

func table(t *testing.T, r procedure.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestProcedure(t *testing.T) {
	report, told, err := run(t, t.Context(), "")
	if err != nil || !report.OK() {
		t.Fatalf("%v\n%s\n%s", err, table(t, report), told)
	}
	for _, want := range []string{
		"[root@client]# mptcpctl endpoint add dev wlp1s0 192.0.2.3 subflow\n",
		"[root@server]# mptcpctl nc -l -k -p 12345\n",
		"client (nc) < ^C\n",
		"server | hello over MPTCP\n",
		"client (monitor) | [  SF_ESTABLISHED] token=" + report.Token + " remid=0 locid=1 saddr4=192.0.2.3 ",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("narration lacks %q:\n%s", want, told)
		}
	}
	if strings.Contains(table(t, report), "NO ") {
		t.Error(table(t, report))
	}
}

// TestProcedureNoticesFaults runs tools that do one thing wrong.
func TestProcedureNoticesFaults(t *testing.T) {
	for fault, broken := range map[string]string{
		"no device": "SF_ESTABLISHED from 192.0.2.3, locid of the endpoint, ifindex of wlp1s0",
		"blind":     "the connection has one subflow, from 192.0.2.2",
		"fails":     "limits: no announced address, one additional subflow",
		"dies":      "a server that keeps listening on port 12345",
		"pathless":  "the initial subflow takes enp1s0, 192.0.2.2; wlp1s0, 192.0.2.3 could carry another",
	} {
		t.Run(fault, func(t *testing.T) {
			report, told, err := run(t, t.Context(), fault)
			if err != nil || report.OK() {
				t.Fatalf("OK %v, %v\n%s", report.OK(), err, told)
			}
			for _, p := range report.Promises {
				if p.Text == broken && (p.Kept || p.Seen == "") {
					t.Errorf("%s: kept %v, seen %q", p.Text, p.Kept, p.Seen)
				}
			}
			last := report.Promises[len(report.Promises)-1]
			if goesOn := fault != "fails" && fault != "dies"; last.Kept != goesOn {
				t.Errorf("last promise kept %v: %s", last.Kept, last.Seen)
			}
			if !strings.Contains(table(t, report), "NO  "+broken) {
				t.Errorf("no NO for %s:\n%s", broken, table(t, report))
			}
		})
	}
}

// TestProcedureStops ends it in the middle, as Ctrl+C does.
func TestProcedureStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	labtest.MPTCP(t)
	t.Setenv(actEnv, "tool")
	t.Setenv(faultEnv, "")
	stopper := &stopAt{text: "CREATED", stop: cancel}
	report, err := procedure.Run(ctx, procedure.TextNarrator(stopper), []string{"/proc/self/exe"})
	if !errors.Is(err, context.Canceled) || report.OK() {
		t.Errorf("OK %v, %v", report.OK(), err)
	}
	// Whatever is waited for in vain takes a minute.
	if took := time.Since(stopper.at); took > 30*time.Second {
		t.Errorf("took %v to stop", took)
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", os.Getpid(), os.Getpid()))
	if err == nil && len(bytes.Fields(children)) > 0 {
		t.Errorf("children left: %s", children)
	}
}

// stopAt cancels when it is told a text.
type stopAt struct {
	text string
	stop func()
	at   time.Time // when it did so first
}

func (s *stopAt) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(s.text)) && s.at.IsZero() {
		s.at = time.Now()
		s.stop()
	}
	return len(b), nil
}

// actEnv makes the test program act as a command of the tool.
const actEnv = "MPTCPCTL_LAB_TEST_ACT"

func TestMain(m *testing.M) {
	switch os.Getenv(actEnv) { // the tests start this program again
	case "tool":
		actAsTool()
		os.Exit(0)
	case "path manager":
		actAsPathManager(os.Args[1:])
		os.Exit(0)
	}
	labtest.Main(m)
}

// faultEnv carries the fault to the stand-in.
const faultEnv = "MPTCPCTL_LAB_TEST_FAULT"

// actAsTool is the main function of the stand-in.
func actAsTool() {
	fault := os.Getenv(faultEnv)
	if fault == "fails" || fault == "dies" && os.Args[1] == "nc" || fault == "pathless" && os.Args[1] == "paths" {
		fmt.Fprintln(os.Stderr, "on purpose")
		os.Exit(1)
	}
	if err := tool(fault, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Args[1] == "nc" { // killed by the signal, as a program without a handler
		signal.Reset(os.Interrupt)
		syscall.Kill(os.Getpid(), syscall.SIGINT)
	}
}
