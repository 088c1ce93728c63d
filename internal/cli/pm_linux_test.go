package cli

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"

	"github.com/vishvananda/netlink"
)

// loopHost is a namespace with two addresses on its loopback link, both ends of
// MPTCP connections, and pm_nl_ctl that prints their events.
type loopHost struct {
	t      *testing.T
	ns     *lab.Namespace
	events chan map[string]string
	server *net.TCPListener
}

const (
	firstAddress  = "10.77.1.1"
	secondAddress = "10.77.2.1"
)

func newLoopHost(t *testing.T) *loopHost {
	t.Helper()
	h := &loopHost{t: t, ns: labtest.MPTCP(t), events: make(chan map[string]string, 256)}
	h.inside(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		for _, address := range []string{firstAddress, secondAddress} {
			parsed, err := netlink.ParseAddr(address + "/32")
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(lo, parsed); err != nil {
				return err
			}
		}
		return nil
	})
	h.follow()
	return h
}

func (h *loopHost) inside(f func() error) {
	h.t.Helper()
	if err := h.ns.Do(f); err != nil {
		h.t.Fatal(err)
	}
}

// pathManager chooses the path manager of the connections to come.
func (h *loopHost) pathManager(pmType string) {
	h.t.Helper()
	h.inside(func() error { return os.WriteFile("/proc/sys/net/mptcp/pm_type", []byte(pmType), 0) })
}

// follow starts `pm_nl_ctl events`, and returns when it hears.
func (h *loopHost) follow() {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), self(h.t), "events")
	cmd.Args[0] = "./pm_nl_ctl"
	lines, err := cmd.StderrPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.ns.Start(cmd); err != nil {
		h.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for in := bufio.NewScanner(lines); in.Scan(); {
			h.events <- fields(in.Text())
		}
	}()
	h.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone already
		<-read
		_ = cmd.Wait() // killed
	})
	labtest.NeedListenerEvents(h.t)
	for deadline := time.Now().Add(await.Patience); time.Now().Before(deadline); {
		h.listen()
		select {
		case <-h.events:
			return
		case <-time.After(50 * time.Millisecond):
			h.server.Close()
		}
	}
	h.t.Fatal("pm_nl_ctl events does not hear of a listener")
}

// fields splits "type:1,token:5"; the whole line is under "".
func fields(line string) map[string]string {
	m := map[string]string{"": line}
	for field := range strings.SplitSeq(line, ",") {
		key, value, _ := strings.Cut(field, ":")
		m[key] = value
	}
	return m
}

func (h *loopHost) listen() {
	h.t.Helper()
	h.inside(func() error {
		var config net.ListenConfig
		config.SetMultipathTCP(true)
		l, err := config.Listen(h.t.Context(), "tcp4", firstAddress+":0")
		if err != nil {
			return err
		}
		h.server = l.(*net.TCPListener)
		return nil
	})
	server := h.server
	h.t.Cleanup(func() { server.Close() })
}

// next returns the next event of the type, and drops those before it.
func (h *loopHost) next(typ mptcp.EventType, token mptcp.Token) map[string]string {
	h.t.Helper()
	timeout := time.After(await.Patience)
	for {
		select {
		case e := <-h.events:
			if e["type"] == strconv.Itoa(int(typ)) && (token == 0 || e["token"] == decimal(token)) {
				return e
			}
		case <-timeout:
			h.t.Fatalf("no event %v of %v", typ, token)
		}
	}
}

func decimal(t mptcp.Token) string { return strconv.FormatUint(uint64(t), 10) }

// connect makes a connection, and returns the tokens of its ends.
func (h *loopHost) connect() (client, server mptcp.Token) {
	h.t.Helper()
	h.inside(func() error {
		var dialer net.Dialer
		dialer.SetMultipathTCP(true)
		ctx, cancel := context.WithTimeout(h.t.Context(), await.Patience)
		defer cancel()
		c, err := dialer.DialContext(ctx, "tcp4", h.server.Addr().String())
		if err != nil {
			return err
		}
		h.t.Cleanup(func() { c.Close() })
		s, err := h.server.Accept()
		if err != nil {
			return err
		}
		h.t.Cleanup(func() { s.Close() })
		// Data both ways: then both ends know that the connection is established.
		for _, pair := range [][2]net.Conn{{c, s}, {s, c}} {
			if _, err := pair[0].Write([]byte("x")); err != nil {
				return err
			}
			if _, err := pair[1].Read(make([]byte, 1)); err != nil {
				return err
			}
		}
		return nil
	})
	for range 2 {
		e := h.next(mptcp.EventEstablished, 0)
		token, err := strconv.ParseUint(e["token"], 10, 32)
		if err != nil {
			h.t.Fatalf("event %q: %v", e[""], err)
		}
		if e["server_side"] == "1" {
			server = mptcp.Token(token)
		} else {
			client = mptcp.Token(token)
		}
	}
	if client == 0 || server == 0 {
		h.t.Fatalf("tokens %v and %v", client, server)
	}
	return client, server
}

// run runs a program with the words of the line, which must end with the code,
// print stdout, and have stderr among its complaints.
func (h *loopHost) run(program, line string, code int, stdout, stderr string) {
	h.t.Helper()
	got := ask(h.t, h.ns, self(h.t), program, strings.Fields(line)...)
	if got.code != code || got.stdout != stdout || !strings.Contains(got.stderr, stderr) ||
		(stderr == "") != (got.stderr == "") {
		h.t.Errorf("%s %s\n%v\nwant exit %d, stdout %q, stderr with %q", program, line, got, code, stdout, stderr)
	}
}

func TestUserspacePathManager(t *testing.T) {
	t.Parallel()
	h := newLoopHost(t)
	noAddress, noSubflow := "address with id 5 not found", "subflow not found"
	if labtest.KernelBefore(t, 6, 13) {
		noAddress, noSubflow = "address with specified id not found", "no such process"
	}
	h.pathManager("1")
	client, server := h.connect()
	port := netip.MustParseAddrPort(h.server.Addr().String()).Port()

	h.run("mptcpctl", fmt.Sprintf("pm announce %s token %v id 5", secondAddress, server), 0, "", "")
	e := h.next(mptcp.EventAnnounced, client)
	// Fields stand in the order in which the kernel writes them.
	if want := fmt.Sprintf("type:6,token:%s,rem_id:5,dport:%d,daddr4:%s", decimal(client), port, secondAddress); e[""] != want {
		t.Errorf("announced: %q, want %q", e[""], want)
	}
	h.run("mptcpctl", fmt.Sprintf("pm addresses token %v", server), 0, secondAddress+" id 5 signal \n", "")
	h.run(
		"mptcpctl",
		fmt.Sprintf("-j pm addr id 5 tok 0x%v", server),
		0,
		`[{"address":"`+secondAddress+`","id":5,"signal":true}]`+"\n",
		"",
	)
	h.run("pm_nl_ctl", "get 5 token "+decimal(server), 0, "id 5 flags signal "+secondAddress+"\n", "")
	h.run("pm_nl_ctl", "dump token "+decimal(server), 0, "id 5 flags signal "+secondAddress+"\n", "")
	h.run("mptcpctl", fmt.Sprintf("pm remove id 5 token %v", server), 0, "", "")
	if e := h.next(mptcp.EventRemoved, client); e["rem_id"] != "5" {
		t.Errorf("removed: %q", e[""])
	}
	h.run("mptcpctl", fmt.Sprintf("pm remove id 5 token %v", server), 1, "", noAddress)

	h.run(
		"mptcpctl",
		fmt.Sprintf("pm subflow-create from %s id 9 to %s:%d token %v", secondAddress, firstAddress, port, client),
		0,
		"",
		"",
	)
	e = h.next(mptcp.EventSubflowEstablished, client)
	if e["saddr4"] != secondAddress || e["loc_id"] != "9" || e["backup"] != "0" {
		t.Errorf("subflow: %q", e[""])
	}
	h.run(
		"mptcpctl",
		fmt.Sprintf("pm set-flags from %s to %s token %v backup", secondAddress, firstAddress, client),
		0,
		"",
		"",
	)
	if e := h.next(mptcp.EventSubflowPriority, server); e["backup"] != "1" {
		t.Errorf("priority: %q", e[""])
	}
	destroy := fmt.Sprintf(
		"pm subflow-destroy from %s:%s to %s:%d token %v",
		secondAddress,
		e["sport"],
		firstAddress,
		port,
		client,
	)
	h.run("mptcpctl", destroy, 0, "", "")
	h.next(mptcp.EventSubflowClosed, 0)
	h.run(
		"mptcpctl",
		destroy,
		1,
		"",
		"mptcpctl: pm subflow-destroy "+secondAddress+":"+e["sport"]+" token "+client.String()+": "+noSubflow,
	)
}

// TestHelperDrivesPathManager does the same in the words of pm_nl_ctl.
func TestHelperDrivesPathManager(t *testing.T) {
	t.Parallel()
	h := newLoopHost(t)
	h.pathManager("1")
	client, server := h.connect()
	port := netip.MustParseAddrPort(h.server.Addr().String()).Port()

	h.run("pm_nl_ctl", fmt.Sprintf("ann %s token %s id 4 dev lo port 4711", secondAddress, decimal(server)), 0, "", "")
	if e := h.next(mptcp.EventAnnounced, client); e["rem_id"] != "4" || e["dport"] != "4711" {
		t.Errorf("announced: %q", e[""])
	}
	h.run("pm_nl_ctl", fmt.Sprintf("rem id 4 token %s", decimal(server)), 0, "", "")
	h.next(mptcp.EventRemoved, client)
	h.run(
		"pm_nl_ctl",
		fmt.Sprintf("csf lip %s lid 7 rip %s rport %d token %s", secondAddress, firstAddress, port, decimal(client)),
		0,
		"",
		"",
	)
	e := h.next(mptcp.EventSubflowEstablished, client)
	h.run(
		"pm_nl_ctl",
		fmt.Sprintf(
			"set %s port %s flags backup token %s rip %s rport %d",
			secondAddress,
			e["sport"],
			decimal(client),
			firstAddress,
			port,
		),
		0,
		"",
		"",
	)
	if p := h.next(mptcp.EventSubflowPriority, server); p["backup"] != "1" {
		t.Errorf("priority: %q", p[""])
	}
	h.run(
		"pm_nl_ctl",
		fmt.Sprintf(
			"dsf lip %s lport %s rip %s rport %d token %s",
			secondAddress,
			e["sport"],
			firstAddress,
			port,
			decimal(client),
		),
		0,
		"",
		"",
	)
	h.next(mptcp.EventSubflowClosed, 0)
}

// TestPMRefusals gives wrong arguments: what the kernel would refuse without a
// reason, or accept in vain, is refused with the reason.
func TestPMRefusals(t *testing.T) {
	t.Parallel()
	h := newLoopHost(t)
	h.pathManager("0")
	client, _ := h.connect()
	token := " token " + client.String()
	for line, want := range map[string]string{
		"pm announce 10.77.2.1 id 3":                                       "token is missing",
		"pm announce 10.77.2.1 id 0" + token:                               "id 0 is the address of the initial subflow",
		"pm announce 10.77.2.1" + token:                                    "id is missing",
		"pm announce id 3" + token:                                         "an address is missing",
		"pm announce 10.77.2.1 id 3 id 4" + token:                          "id is given twice",
		"pm announce 10.77.2.1 10.77.2.1 id 3" + token:                     `unknown word "10.77.2.1"`,
		"pm announce 10.77.2.1 id 300" + token:                             `id "300": want a number`,
		"pm announce 10.77.2.1 port 0 id 3" + token:                        `port "0": want a number`,
		"pm announce 10.77.2.1 id" + token + " id":                         "want a number",
		"pm announce nowhere id 3" + token:                                 "neither an address nor a keyword",
		"pm announce 10.77.2.1 id 3 token 0":                               "token 0 names no connection",
		"pm announce 10.77.2.1 id 3 token xyz":                             "hexadecimal",
		"pm remove" + token:                                                "id is missing",
		"pm subflow-create from 10.77.2.1 id 3 to 10.77.1.1" + token:       "`to` needs a port",
		"pm subflow-create from 10.77.2.1:5 id 3 to 10.77.1.1:80" + token:  "`from` takes no port",
		"pm subflow-create from 10.77.2.1 id 3 to [::1]:80" + token:        "families mismatch",
		"pm subflow-create from 10.77.2.1 to 10.77.1.1:80" + token:         "id is missing",
		"pm subflow-create from 10.77.2.1 id 3 to nowhere:80" + token:      "want ADDRESS",
		"pm subflow-destroy from 10.77.2.1 to 10.77.1.1:80" + token:        "both addresses with their ports",
		"pm subflow-destroy from 10.77.2.1:5 to 10.77.1.1" + token:         "both addresses with their ports",
		"pm subflow-destroy from 10.77.2.1:5 to [::1]:4" + token:           "families mismatch",
		"pm set-flags from 10.77.2.1 to 10.77.1.1" + token:                 "want one of backup and nobackup",
		"pm set-flags from 10.77.2.1 to 10.77.1.1 backup nobackup" + token: "want one of backup and nobackup",
		"pm set-flags from 10.77.2.1 to ::1 backup" + token:                "families mismatch",
		"pm addresses token " + client.String() + " extra":                 `unknown word "extra"`,
		"pm addresses":  "token is missing",
		"pm":            "needs one of: announce, remove",
		"pm frobnicate": `unknown command "frobnicate"`,
	} {
		h.run("mptcpctl", line, 2, "", want)
	}
	// The kernel's refusals, with what to do.
	h.run(
		"mptcpctl",
		"pm announce 10.77.2.1 id 3"+token,
		1,
		"",
		"userspace PM not selected (the connection was created under the in-kernel path manager",
	)
	h.run(
		"mptcpctl",
		"pm addresses token 00000001",
		1,
		"",
		"invalid token (no connection in this network namespace has this token",
	)
	h.run("mptcpctl", "pm announce 10.77.2.1 id 3 dev nosuch"+token, 1, "", `device "nosuch" does not exist`)
}
