package runner_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/runner"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/mptcp"
)

// Why a fix has no command that can be typed on one of the hosts.
const (
	ofProgram  = "the program, or how it is started, has to change"
	ofFirewall = "a rule of this host's firewall has to go: the fix lists the chain"
	ofPath     = "the path belongs to somebody else"
	ofPeer     = "the fix is for a program or a backend of the peer"
	ofHost     = "the fix is for the whole machine"
	ofNobody   = "nothing is wrong"
)

// notTyped are the scenarios whose fix is no command that can be typed on one of the hosts,
// with the reason. A scenario whose finding shows a command must not be among them.
var notTyped = map[string]string{
	"policy-forbids": ofHost, "two-managers": ofHost, "events-lost": ofHost, "old-ip": ofHost,
	"listener-overrun": ofProgram, "wrong-namespace": ofProgram, "wrong-namespace-inside": ofProgram,
	"plain-client": ofProgram, "plain-local-server": ofProgram, "listener-closed": ofProgram,
	"simultaneous-connect": ofProgram,
	"nothing-sent":         ofNobody, "checksum-differs": ofNobody, "endpoint-of-first-link": ofNobody,
	"plain-server": ofPeer, "announced-unheard-by-client": ofPeer, "load-balancer": ofPeer,
	"load-balancer-far": ofPeer, "listener-closed-far": ofPeer,
	"phantom-route": ofPath, "rule-by-mark": ofPath, "join-dropped": ofPath, "join-reset": ofPath,
	"join-prohibited": ofPath, "join-stripped": ofPath, "syn-stripped": ofPath, "syn-reset": ofPath,
	"data-stripped-second-path": ofPath, "first-path-silent": ofPath, "only-path-silent": ofPath,
	"first-link-down": ofPath, "first-address-removed": ofPath,
	"join-dropped-here": ofFirewall, "syn-stripped-here": ofFirewall, "announced-closed-here": ofFirewall,
	"handshake-stripped-here": ofFirewall, "data-stripped-to-client": ofFirewall, "data-stripped-later": ofFirewall,
}

// noPath are the scenarios in which a connection need not have a second path once the fix
// is typed, with the reason.
var noPath = map[string]string{
	"endpoint-not-here":      "the fix takes the endpoint away",
	"endpoint-link-gone":     "the fix takes the endpoint away",
	"second-address-removed": "the fix takes the endpoint away",
	"table-full":             "the hosts have one link",
	"no-daemon-at-server":    "no host has an endpoint",
	"mptcp-off":              "no server is there",
	"fast-open-refused":      "the program insists on Fast Open, which the fix switches off",
	"data-changed":           "the hosts have one link",
}

// repairedFirst are the scenarios whose command helps once the cause has been mended, which
// their fix says in another line: the firewall is gone before the command is typed.
var repairedFirst = []string{
	"join-rejected-here", "second-path-silent", "second-path-one-way", "second-path-dead", "syn-dropped", "data-changed",
}

// nextCause are the scenarios in which doctor may name another cause once the first one has
// been mended, and what to do about that one.
var nextCause = map[string]rule.ID{
	"second-link-down":    rule.NoRoute,    // the static route went with the link
	"second-path-silent":  rule.NotRetried, // the peer still holds the old subflow when the join comes
	"second-path-one-way": rule.NotRetried,
}

// typed is a command of a fix, and whether it is for the other host.
type typed struct {
	command string
	peer    bool
}

// alternative is how the remark of a command begins that does the same as those before it.
const alternative = "or this"

// commandsOf returns the commands of a fix which change something: of several ways to
// mend it, the first that has any.
func commandsOf(fix []string) []typed {
	var list []typed
	for _, line := range fix {
		text, remark, _ := strings.Cut(line, "   (")
		text, other := strings.CutPrefix(text, "or ")
		if (other || strings.HasPrefix(remark, alternative)) && len(list) > 0 {
			continue
		}
		text = strings.TrimPrefix(text, "for connections that exist, then also: ")
		text, peer := strings.CutPrefix(text, "on the peer: ")
		words := strings.Fields(text)
		switch {
		case len(words) < 3, words[0] != "mptcpctl" && words[0] != "ip" && words[0] != "sysctl":
		case slices.Contains([]string{"paths", "probe", "probe,", "run", "-n"}, words[1]): // changes nothing
		case strings.HasPrefix(words[2], "net.core."): // is not of the namespace, but of the machine
		default:
			list = append(list, typed{text, peer})
		}
	}
	return list
}

// fixOf returns the fix of the finding that names the rule.
func fixOf(d runner.Diagnosis, id rule.ID) []string {
	var fix []string
	for _, f := range d.Findings {
		if f.Rule == id {
			return f.Fix
		}
		if slices.Contains(f.Alternatives, id) {
			fix = f.Fix
		}
	}
	return fix
}

// onlyForNew reports whether a fix says that connections which exist gain nothing.
func onlyForNew(fix []string) bool {
	all := strings.Join(fix, "\n")
	return strings.Contains(all, "for new connections") || strings.Contains(all, "connect again") ||
		strings.Contains(all, "new connections leave")
}

// patient is a trial whose fix is typed.
type patient struct {
	*procedure.Trial
	program string
}

// other returns the name of the host that a fix calls the peer.
func (p *patient) other() string {
	if p.Scenario.Host == lab.ClientHost {
		return lab.ServerHost
	}
	return lab.ClientHost
}

// enter types a command on the host that it is for.
func (p *patient) enter(ctx context.Context, c typed) error {
	host := p.Scenario.Host
	if c.peer {
		host = p.other()
	}
	lines, code, err := p.Lab.Host(host).RunProcess(ctx, lab.ProcessConfig{
		Args: []string{"sh", "-c", c.command},
		Env:  append(os.Environ(), "PATH="+filepath.Dir(p.program)+":"+os.Getenv("PATH")),
	})
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d: %v", code, lines)
	}
	if err != nil {
		return fmt.Errorf("%s on %s: %w", c.command, host, err)
	}
	return nil
}

// gone waits until doctor does not name the rule, and the connection, if one is given, has
// more than one subflow.
func (p *patient) gone(ctx context.Context, token mptcp.Token) error {
	var why string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; {
		d, err := runner.AskDoctor(ctx, p.Trial, p.Host(), []string{p.program})
		if err != nil {
			return err
		}
		why = p.wrong(d, token)
		if why == "" {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("afterwards %s", why)
}

// wrong returns what the fix has not mended, "" for nothing.
func (p *patient) wrong(d runner.Diagnosis, token mptcp.Token) string {
	if fixOf(d, p.Scenario.Rule) != nil {
		return "doctor says: " + d.String()
	}
	if next, ok := nextCause[p.Scenario.Name]; ok && fixOf(d, next) != nil {
		return ""
	}
	if token == 0 {
		return ""
	}
	for _, c := range d.Connections {
		if c.Token == token && c.Subflows > 1 {
			return ""
		}
	}
	return fmt.Sprintf("connection %v has no second path: %v; doctor says: %s", token, d.Connections, d)
}

// mend types the fix that doctor shows and checks what became of it.
func (p *patient) mend(ctx context.Context) error {
	d, err := runner.Diagnose(ctx, p.Trial, p.Host(), []string{p.program})
	if err != nil {
		return err
	}
	s := p.Scenario
	fix := fixOf(d, s.Rule)
	commands := commandsOf(fix)
	reason, excused := notTyped[s.Name]
	switch {
	case len(commands) > 0 && excused:
		return fmt.Errorf("has commands and needs no excuse (%s): %q", reason, fix)
	case len(commands) == 0 && !excused:
		return fmt.Errorf("has no command to type: %q", fix)
	case excused:
		return nil
	}
	if slices.Contains(repairedFirst, s.Name) {
		for _, f := range s.Faults {
			if err := p.Lab.Host(f.Host).SetFirewall(); err != nil {
				return err
			}
		}
	}
	for _, c := range commands {
		if err := p.enter(ctx, c); err != nil {
			return err
		}
	}
	if !onlyForNew(fix) {
		if err := p.gone(ctx, p.living()); err != nil {
			return fmt.Errorf("%w; typed %v, and the fix does not say that it helps only new connections", err, commands)
		}
	}
	for _, c := range p.Conns() {
		c.Close()
	}
	if err := p.anew(ctx); err != nil {
		return fmt.Errorf("%w; typed %v", err, commands)
	}
	return nil
}

// living returns the token of a connection that is to have its second path once the fix is
// typed, or 0 where doctor looks at the peer of the connections, or none is to have one.
func (p *patient) living() mptcp.Token {
	if _, excused := noPath[p.Scenario.Name]; excused || p.Scenario.Host != lab.ClientHost {
		return 0
	}
	for _, c := range p.Conns() {
		if token, ok := c.Token(); ok {
			return token
		}
	}
	return 0
}

// connect makes a connection that speaks MPTCP. On a machine that does much else one may
// fall back, as its SYN had to be sent again.
func (p *patient) connect() (*lab.Conn, mptcp.Token, error) {
	for end := time.Now().Add(await.Patience / 2); ; {
		c, err := p.Connect()
		if err != nil {
			return nil, 0, err
		}
		if token, ok := c.Token(); ok {
			return c, token, nil
		}
		_, err = c.Info()
		c.Close()
		if time.Now().After(end) {
			return nil, 0, fmt.Errorf("no MPTCP: %w", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// anew makes a new connection and checks that it gets what the fix is for.
func (p *patient) anew(ctx context.Context) error {
	if _, excused := noPath[p.Scenario.Name]; excused {
		return p.gone(ctx, 0)
	}
	c, token, err := p.connect()
	if err != nil {
		return fmt.Errorf("a new connection: %w", err)
	}
	defer c.Close()
	if p.Scenario.Host == lab.ClientHost {
		return p.gone(ctx, token)
	}
	if err := p.gone(ctx, 0); err != nil {
		return err
	}
	for end := time.Now().Add(20 * time.Second); c.AdditionalSubflows() < 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("the new connection has no second path")
		}
	}
	return nil
}

// TestFixesMend brings a scenario of each rule whose fix has a command about, in the long
// form every scenario, and types the fix that doctor shows, as it stands. The cause must be gone then, for
// the connections that exist too unless the fix says otherwise, and a new connection
// must get its second path.
func TestFixesMend(t *testing.T) {
	labtest.MPTCP(t)
	for _, needed := range []string{"sh", "ip", "sysctl"} {
		if _, err := exec.LookPath(needed); err != nil {
			labtest.Skip(t, "the command %s is not here: %v", needed, err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "mptcpctl") // the name tells TestMain what to be
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	scenarios := scenario.All()
	scenarios = slices.DeleteFunc(scenarios, func(s scenario.Scenario) bool {
		_, excused := notTyped[s.Name]
		return s.Rule == scenario.Healthy || excused && !labtest.Long()
	})
	if !labtest.Long() {
		scenarios = ofEachRule(scenarios)
	}
	for i, result := range runner.RunScenarios(t.Context(), scenarios, []string{program}, func(
		ctx context.Context, trial *procedure.Trial,
	) error {
		p := patient{trial, program}
		return p.mend(ctx)
	}) {
		t.Run(scenarios[i].Name, func(t *testing.T) {
			r := <-result
			labtest.SkipMissing(t, r.Err)
			if r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
}
