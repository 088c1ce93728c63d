package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"

	"github.com/chromedp/chromedp"
)

// screen is a size and a color scheme that the page is looked at in.
type screen struct {
	name          string
	width, height int
	dark          bool
}

var screens = []screen{
	{"1400", 1400, 1000, false}, {"1280-dark", 1280, 900, true}, {"400", 400, 800, false},
}

// forPictures is set when pictures are taken for the documentation.
const forPictures = "WEB_PICTURES"

// window is a browser with one page.
type window struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	problems []string
}

// open starts a browser of that size. It skips the test where there is none.
func open(t testing.TB, s screen) *window {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		labtest.Skip(t, "chromium is not installed")
	}
	home := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WindowSize(s.width, s.height), chromedp.Flag("disable-component-update", true),
		chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home))
	if s.dark {
		options = append(options, chromedp.Flag("blink-settings", "preferredColorScheme=0"))
	}
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, await.Patience)
	t.Cleanup(cancel)
	w := &window{TB: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	w.run(chromedp.Navigate("about:blank"), chromedp.EmulateViewport(int64(s.width), int64(s.height)))
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.IsException() {
				w.mu.Lock()
				w.problems = append(w.problems, fmt.Sprintf("%s (%s:%d)", m.Text, m.URL, m.Line))
				w.mu.Unlock()
			}
		}
	}()
	return w
}

func (w *window) run(steps ...chromedp.Action[chromedp.Void]) {
	w.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.Fatal(err)
	}
}

// value returns the value of an expression of the page.
func value[T any](w *window, expression string) T {
	w.Helper()
	v, err := chromedp.Run(w.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		w.Fatalf("%s: %v", expression, err)
	}
	return v
}

// sees waits until the expression is true on the page.
func (w *window) sees(what, expression string) {
	w.Helper()
	deadline := time.Now().Add(await.Patience)
	for !value[bool](w, "Boolean("+expression+")") {
		if time.Now().After(deadline) {
			w.shoot("failed")
			w.Fatalf("the page never showed %s; it says:\n%s", what, value[string](w, "document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (w *window) shoot(name string) {
	w.Helper()
	picture, err := chromedp.Run(w.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(w.ArtifactDir(), "view-"+name+".png"), picture, 0o644)
	}
	if err != nil {
		w.Error(err)
	}
}

// views are the views of the page, and what each shows once it is there.
var views = []struct{ name, link, shows string }{
	{"overview", "", `document.querySelectorAll('#map a').length > 4 && document.querySelector('#device-throughput .area') &&
		document.querySelector('.verdict').textContent.includes('Warning') && document.querySelector('#map').textContent.includes('B/s')`},
	{"connections", "connections?sort=-bytes", `document.querySelector('a.row')`},
	{"connection", "connection/-/00001000", `document.querySelectorAll('#throughput polygon').length === 2`},
	{"fallback", "connection/-/00001004", `document.querySelector('#facts').textContent.includes('fell back')`},
	{"events", "events", `document.querySelector('.log tbody tr')`},
	{"endpoints", "endpoints", `document.querySelectorAll('td').length > 9`},
	{"counters", "counters", `document.querySelector('td')`},
	{"findings", "findings", `document.querySelector('.finding')`},
}

// TestEveryViewOnEveryScreen looks at all views in a browser, with few and with very many
// connections: each appears, none is wider than its screen, no text is fainter than people can
// read (WCAG AA), and the console stays empty.
func TestEveryViewOnEveryScreen(t *testing.T) {
	for _, connections := range []int{5, 10_000} {
		s := showing(t, connections)
		if os.Getenv(forPictures) != "" {
			s.live(t, time.Minute) // there is more to see
		}
		for _, size := range screens {
			t.Run(fmt.Sprintf("%d connections, %s", connections, size.name), func(t *testing.T) {
				w := open(t, size)
				for _, view := range views {
					w.run(chromedp.Navigate("http://" + s.address + "/#/" + view.link))
					w.sees("the view "+view.name, view.shows)
					w.shoot(fmt.Sprintf("%s-%d-%s", view.name, connections, size.name))
					if wide := value[float64](w, `document.querySelector('main').scrollWidth - innerWidth`); wide > 0 {
						t.Errorf("%s is %v pixels wider than the screen", view.name, wide)
					}
					if strings.Contains(value[string](w, `document.body.innerText`), "[object") {
						t.Errorf("%s shows an object as a text", view.name)
					}
					if faint := value[string](w, faintText); faint != "" {
						t.Errorf("%s: too faint to read: %s", view.name, faint)
					}
				}
				w.run(chromedp.Navigate("about:blank"))
				w.mu.Lock()
				defer w.mu.Unlock()
				if len(w.problems) > 0 {
					t.Error(strings.Join(w.problems, "\n"))
				}
			})
		}
	}
}

// TestPageOfNothing shows a host without connections and doctor: a fault of the page's own is an
// error on the console, and not an outage of the server.
func TestPageOfNothing(t *testing.T) {
	s := serve(t, 0, Config{})
	w := open(t, screens[0])
	for _, link := range []string{"", "connections", "events", "endpoints", "counters", "findings"} {
		w.run(chromedp.Navigate("about:blank"), chromedp.Navigate("http://"+s.address+"/#/"+link))
		w.sees("the view "+link, `document.querySelector('main h1') && !document.querySelector('main.waiting') &&
			document.querySelector('#link').className === 'live'`)
	}
	w.run(chromedp.Navigate("http://" + s.address + "/#/"))
	w.sees("the devices on the map", `document.querySelectorAll('#map a').length === 2`)
	w.run(chromedp.Navigate("about:blank"))
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.problems) > 0 {
		t.Error(strings.Join(w.problems, "\n"))
	}
}

// TestKeyboardReachesEverything goes through the overview, a connection and the endpoints with
// the Tab key alone: every link, button, field and plot comes into focus, and the focus can
// be seen.
func TestKeyboardReachesEverything(t *testing.T) {
	s := showing(t, 5)
	w := open(t, screens[0])
	for _, view := range views {
		w.run(chromedp.Navigate("about:blank"), chromedp.Navigate("http://"+s.address+"/#/"+view.link))
		w.sees("the view "+view.name, view.shows)
		const reachable = `[...document.querySelectorAll('a[href],button,input,select,summary,[tabindex="0"]')]
			.filter((e) => e.getClientRects().length > 0 && !e.closest('details:not([open]) > :not(summary)'))`
		value[bool](w, `window.seen = new Set(), document.addEventListener('focusin', (e) => {
			const o = getComputedStyle(e.target);
			const shown = o.outlineStyle !== 'none' && parseFloat(o.outlineWidth) > 0;
			seen.add((e.target.getAttribute('aria-label') || e.target.id || e.target.textContent) + (shown ? '' : ' unseen'));
		}), true`)
		missing := "all"
		for round := 0; round < 4 && missing != ""; round++ { // what is shown late is reached in another round
			for range value[int](w, reachable+".length") + 3 {
				w.run(chromedp.KeyEvent("\t"))
			}
			missing = value[string](w, reachable+`.map((e) => e.getAttribute('aria-label') || e.id || e.textContent)
				.filter((name) => !seen.has(name)).join('; ')`)
		}
		if missing != "" {
			t.Errorf("%s: Tab does not reach, or does not show: %s; it reached %s",
				view.name, missing, value[string](w, "[...seen].join('; ')"))
		}
	}
}

// BenchmarkPage measures what a person feels of the page with 10,000 connections and 1,000 events
// a second: until something is painted, what an interaction takes, how far things move by
// themselves, and what a view takes from the network in a second.
func BenchmarkPage(b *testing.B) {
	if _, err := exec.LookPath("chromium"); err != nil {
		b.Skip("chromium is not installed")
	}
	s := showing(b, 10_000)
	ctx, cancel := context.WithCancel(context.Background())
	var feeding sync.WaitGroup
	feeding.Go(func() {
		for n := 0; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			batch := make([]mptcp.Event, 50)
			for i := range batch {
				batch[i], n = s.prio(n%10_000), n+1
			}
			s.batches <- batch
		}
	})
	defer feeding.Wait()
	defer cancel()
	w := open(b, screens[0])
	for b.Loop() {
		for _, view := range views {
			w.run(chromedp.Navigate("about:blank"), chromedp.Navigate("http://"+s.address+"/#/"+view.link))
			w.sees("the view "+view.name, view.shows)
			value[bool](w, `window.moved = 0, new PerformanceObserver((list) => {
				for (const e of list.getEntries()) if (!e.hadRecentInput) moved += e.value;
			}).observe({type: 'layout-shift', buffered: true}), performance.clearResourceTimings(), true`)
			time.Sleep(10 * time.Second)
			b.ReportMetric(value[float64](w, `performance.getEntriesByType('resource')
				.filter((e) => e.name.includes('/api/')).reduce((n, e) => n + e.transferSize, 0) / 1e4`), view.name+"-kB/s")
			b.ReportMetric(value[float64](w, "moved"), view.name+"-shift")
			b.ReportMetric(value[float64](w, `performance.getEntriesByName('first-contentful-paint')[0].startTime`),
				view.name+"-paint-ms")
		}
		w.run(chromedp.Navigate("http://" + s.address + "/#/connections"))
		w.sees("the rows", `document.querySelector('a.row')`)
		value[bool](w, `window.took = 0, (async () => {
			const first = () => document.querySelector('a.row').dataset.token;
			const before = first(), began = performance.now();
			[...document.querySelectorAll('.head button')].find((b) => b.textContent === 'Bytes').click();
			while (first() === before && performance.now() - began < 5000) await new Promise(requestAnimationFrame);
			took = performance.now() - began;
		})(), true`)
		w.sees("the rows in their new order", "took")
		b.ReportMetric(value[float64](w, "took"), "sort-ms")
	}
}

// faintText returns the texts whose contrast with what is behind them is below 4.5.
const faintText = `(() => {
	const parse = (c) => (c.match(/[\d.]+/g) || []).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
		.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			if (c.length === 3 || c[3] === 1) return c;
		}
		return [255, 255, 255];
	};
	const bad = [];
	for (const e of document.querySelectorAll('body *')) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && /\w/.test(n.textContent));
		const box = e.getBoundingClientRect();
		if (!own || box.width < 2 || box.height < 2 || e.closest('[hidden],title,noscript,option')) continue;
		const svg = e.namespaceURI.endsWith('svg');
		if (svg && e.classList.contains('inside')) continue; // on a lane
		const style = getComputedStyle(e);
		const [a, b] = [light(parse(svg ? style.fill : style.color)), light(behind(e))];
		const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (contrast < 4.5) bad.push(e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 30) + ' ' + contrast.toFixed(1));
	}
	return bad.slice(0, 5).join('; ');
})()`
