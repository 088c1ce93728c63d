package cli

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"github.com/chromedp/chromedp"
)

// browser is Debian's chromium with one page, in a network namespace of the lab.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
	outages  []outage // the server is down on purpose: refused requests are no problem
}

// outage is a span of time; its end is zero while it lasts.
type outage struct{ from, to time.Time }

func newBrowser(t *testing.T, ns *lab.Namespace) *browser {
	t.Helper()
	for _, program := range []string{"chromium", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			labtest.Skip(t, "%s is not installed", program)
		}
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) {
			namespace := fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), ns.Fd())
			cmd.Args = append([]string{"nsenter", namespace, cmd.Path}, cmd.Args[1:]...)
			cmd.Path = nsenter
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		}))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, await.Patience)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("chromium did not start: %v", err)
	}
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.note(m)
		}
	}()
	return b
}

func (b *browser) note(m chromedp.ConsoleMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	refused := m.Source == "network" && strings.Contains(m.Text, "ERR_")
	if m.Type != chromedp.ConsoleError && !m.IsException() || refused && b.out(m.Time) {
		return
	}
	b.problems = append(b.problems, fmt.Sprintf("%s: %s (%s:%d)", m.Type, m.Text, m.URL, m.Line))
}

func (b *browser) setOutage(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if on {
		b.outages = append(b.outages, outage{from: time.Now()})
		return
	}
	b.outages[len(b.outages)-1].to = time.Now()
}

// out reports whether the server was down at that time: a message may be read later
// than the page wrote it. The caller holds mu.
func (b *browser) out(at time.Time) bool {
	at = at.Add(time.Millisecond) // the browser's clock counts in those
	return slices.ContainsFunc(b.outages, func(o outage) bool {
		return !at.Before(o.from) && (o.to.IsZero() || at.Before(o.to))
	})
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns the value of an expression of the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// sees polls until the expression is true on the page.
func (b *browser) sees(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(await.Patience); !eval[bool](b, "Boolean("+expression+")"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.shoot("failed")
			b.t.Fatalf("the page never showed %s; it says:\n%s", what, eval[string](b, "document.body.innerText"))
		}
	}
}

// shoot keeps a picture of the page.
func (b *browser) shoot(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Error(err)
		return
	}
	if err := os.WriteFile(filepath.Join(b.t.ArtifactDir(), "page-"+name+".png"), picture, 0o644); err != nil {
		b.t.Error(err)
	}
}

// served starts the server in the namespace and waits until it is ready.
func served(t *testing.T, ns *lab.Namespace) *lab.Process {
	t.Helper()
	p := started(t, ns, tool("serve"))
	ready(t, p)
	return p
}

// ready waits until the server says that it is ready.
func ready(t *testing.T, p *lab.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	if _, err := p.WaitLine(ctx, func(l lab.Line) bool { return strings.Contains(l.Text, "msg=ready") }); err != nil {
		t.Fatalf("serve: %v %v", err, p.Lines())
	}
}

// exchanging sends over the connection until the end of the test, or until it fails
// because the connection was closed.
func exchanging(t *testing.T, c *lab.Conn) {
	var sending sync.WaitGroup
	stop := make(chan struct{})
	sending.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if c.Exchange(50_000) != nil {
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); c.Close(); sending.Wait() })
}

// TestPageWhileTheProcedureRuns watches a connection in a browser from its
// beginning to its end, over a restart of the server.
func TestPageWhileTheProcedureRuns(t *testing.T) {
	t.Parallel()
	labtest.MPTCP(t)
	topology := findTopology(t, "redhat")
	network, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	client, server := network.Host(lab.ClientHost), network.Host(lab.ServerHost)
	b := newBrowser(t, client.Namespace)
	process := served(t, client.Namespace)
	echo, err := lab.Serve(t.Context(), server.Namespace, netip.MustParseAddrPort("192.0.2.1:5201"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { echo.Close() })

	const page = "http://127.0.0.1:9099/"
	b.do(chromedp.Navigate(page))
	b.sees("the overview, live", `document.querySelector('#link').className === 'live'`)
	b.shoot("overview")

	b.do(chromedp.Navigate(page + "#/connections"))
	b.sees("an empty table", `document.querySelector('#total')?.textContent === '0 matches'`)
	c, err := lab.Connect(t.Context(), client.Namespace, echo.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	exchanging(t, c)
	token, ok := c.Token()
	if !ok {
		t.Fatal("the connection fell back")
	}
	b.sees("the connection", fmt.Sprintf(`document.querySelector('a.row[data-token="%s"]')`, token))
	b.do(chromedp.SendKeys("#filter", "dport 1"))
	b.sees(
		"nothing behind a filter that does not match",
		`document.querySelector('#total').textContent === '0 matches' && location.hash.includes('dport')`,
	)
	b.do(chromedp.Navigate(page + "#/connections"))
	for _, way := range []string{"descending", "ascending"} {
		b.sees(
			"that it is sorted by the local address, "+way,
			`(button => button && (button.click(), true))([...document.querySelectorAll('.head button')].find(b => b.textContent === 'Local'))`,
		)
		b.sees(
			"that it is sorted "+way,
			fmt.Sprintf(
				`document.querySelectorAll('[aria-sort=%s]').length === 1 && document.querySelector('[aria-sort=%[1]s]').textContent === 'Local'`,
				way,
			),
		)
	}
	b.sees(
		"it without a filter",
		fmt.Sprintf(
			`document.querySelector('#filter').value === '' && document.querySelector('a.row[data-token="%s"]')`,
			token,
		),
	)
	b.sees(
		"that what is typed is typed",
		`(field => { field.value = 'dport 1'; field.dispatchEvent(new Event('input')); document.querySelector('.scroll').dispatchEvent(new Event('scroll')); return true })(document.querySelector('#filter'))`,
	)
	b.sees(
		"what was typed, though the table was scrolled",
		`document.querySelector('#total').textContent === '0 matches' && location.hash.includes('dport')`,
	)
	b.do(chromedp.SendKeys("#filter", "x"))
	b.sees("what is wrong with a malformed filter", `document.querySelector('#problem').textContent !== ''`)
	b.do(chromedp.Navigate(page + "#/connections?filter=dport%205201"))
	b.sees(
		"it through a link with a filter",
		fmt.Sprintf(
			`document.querySelector('#filter').value === 'dport 5201' && document.querySelector('a.row[data-token="%s"]')`,
			token,
		),
	)
	b.shoot("connections")

	// In one step on the page: a row is drawn anew with each change, and a click from
	// outside may find the one before.
	b.sees(
		"the row to click on",
		fmt.Sprintf(`(row => row && (row.click(), true))(document.querySelector('a.row[data-token="%s"]'))`, token),
	)
	b.sees("one lane", `document.querySelectorAll('#timeline .lane').length === 1`)
	process = b.watchSecondLane(client, process, token)
	b.zoomsAndReads(page, token)

	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	b.sees(
		"the close",
		`document.querySelector('#facts').textContent.includes('ended') && [...document.querySelectorAll('#timeline .lane')].every((l) => l.dataset.state === 'closed')`,
	)
	b.shoot("closed")
	for _, view := range [][2]string{
		{"events", "CLOSED"}, {"endpoints", "192.0.2.3"}, {"counters", "MPJoinSynAckRx"},
		{"findings", "Verdict: "}, {"", "events lost"},
	} {
		b.do(chromedp.Navigate(page + "#/" + view[0]))
		b.sees(
			"the view "+view[0],
			fmt.Sprintf(
				`document.title.startsWith('%s') && document.querySelectorAll('#nav a[aria-current]').length === 1 && document.querySelector('main').textContent.includes('%s')`,
				view[0],
				view[1],
			),
		)
		b.shoot("view-" + view[0])
	}
	b.do(chromedp.Navigate("about:blank"))
	stopped(t, process)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		// Of the malformed filter, and of a server that has just started, as the browser logs them.
		if !strings.Contains(problem, "status of 400") && !strings.Contains(problem, "status of 503") {
			t.Error(problem)
		}
	}
}

// watchSecondLane adds an endpoint and removes it, restarts the server, and adds it
// again.
func (b *browser) watchSecondLane(client *lab.Host, process *lab.Process, token mptcp.Token) *lab.Process {
	t := b.t
	t.Helper()
	add := func() {
		manage(t, client, func(pm *pathmanager.Client) error {
			index, err := client.IfIndex("wlp1s0")
			if err != nil {
				return err
			}
			return pm.AddEndpoint(
				t.Context(),
				mptcp.Endpoint{
					ID:      7,
					Address: netip.MustParseAddr("192.0.2.3"),
					Flags:   mptcp.FlagSubflow,
					IfIndex: int32(index),
				},
			)
		})
	}
	remove := func() {
		manage(t, client, func(pm *pathmanager.Client) error { return pm.RemoveEndpoint(t.Context(), 7) })
	}
	const second = `[...document.querySelectorAll('#timeline .lane')].filter((l) => l.dataset.lane.startsWith('192.0.2.3'))`
	add()
	b.sees("the second lane begin", second+`.at(-1)?.dataset.state === 'established'`)
	b.sees("throughput of both", `document.querySelectorAll('#throughput polygon').length === 2`)
	b.sees("round-trip times", `document.querySelectorAll('#rtt polyline').length >= 1`)
	b.shoot("two-lanes")
	remove()
	b.sees("the second lane end", second+`.every((l) => l.dataset.state === 'closed')`)
	b.shoot("lane-ended")

	b.setOutage(true)
	stopped(t, process)
	b.sees("that the server is gone", `document.querySelector('#link').className === 'gone'`)
	process = served(t, client.Namespace)
	b.sees("the server again", `document.querySelector('#link').className === 'live'`)
	b.setOutage(false)
	add()
	b.sees("the lane that begins after the restart", second+`.at(-1)?.dataset.state === 'established'`)
	b.sees("what was before the restart", second+`.length === 2`)
	b.sees("that it is the same connection", fmt.Sprintf(`location.hash.includes('%s')`, token))
	return process
}

// zoomsAndReads uses the timeline by keys and buttons, and follows its links.
func (b *browser) zoomsAndReads(page string, token mptcp.Token) {
	b.t.Helper()
	const grid = `document.querySelectorAll('#timeline text.faint')[1].textContent`
	const span = `Number(new URLSearchParams(location.hash.split('?')[1]).get('span'))`
	b.sees("throughput of both lanes", `document.querySelectorAll('#throughput polygon').length >= 2`)
	b.sees("a window that fits the connection", span+` === 0`)
	b.do(chromedp.Click("#zoom-in"))
	b.sees("the zoom in the link", span+` > 0`)
	zoomed := eval[int](b, span)
	b.do(chromedp.Click("#zoom-out"), chromedp.Click("#zoom-out"))
	b.sees("the zoom out", fmt.Sprintf(span+` > %d`, zoomed))
	b.do(chromedp.Focus("#timeline"), chromedp.KeyEvent("+"), chromedp.KeyEvent("+"))
	b.sees("the zoom by keys", fmt.Sprintf(span+` === %d`, zoomed))
	b.do(chromedp.KeyEvent("-"))
	eval[bool](
		b,
		`document.querySelector('#timeline').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}))`,
	)
	b.sees(
		"values at the cursor",
		`/\d\d:\d\d:\d\d\.\d\d\d.*192\.0\.2\.2:\d+ established/.test(document.querySelector('#readout').textContent)`,
	)
	b.sees("times below the timeline", grid+` !== ''`)
	b.shoot("zoomed")
	at := eval[float64](b, `Date.now() - 2000`)
	b.do(
		chromedp.Navigate("about:blank"),
		chromedp.Navigate(fmt.Sprintf("%s#/connection/-/%s?span=5000&at=%.0f", page, token, at)),
	)
	b.sees(
		"the moment that a link names",
		`document.querySelector('#timeline .cursor') && /192\.0\.2\.2:\d+ /.test(document.querySelector('#readout').textContent)`,
	)
}
