package tui

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"mptcpctl/doctor"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/present"
	"mptcpctl/internal/story"
	"mptcpctl/internal/traffic"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// frame is what happened since the last one.
type frame struct {
	now    time.Time
	state  *track.State
	deltas []track.Delta
	ended  bool  // the source has: a recording is over
	err    error // why there can be no more frames
}

// diagnosed is the doctor's answer.
type diagnosed struct {
	report doctor.Report
	err    error
}

// changed is what became of a change.
type changed struct {
	text string
	err  error
}

// model is what is shown. It is changed by messages alone.
type model struct {
	look
	config  *Config
	ctx     context.Context // of the doctor's and the changes' commands
	ask     func([]mptcp.Key)
	width   int
	height  int
	screen  Screen
	help    bool
	helpTop window

	now    time.Time
	latest *track.State // the newest
	state  *track.State // that is shown
	frozen time.Time    // since when nothing moves; zero: it does
	upTo   int          // the newest event that is shown while frozen
	ended  bool
	err    error // why the view ended

	log    log
	pulse  pulse
	watch  watch
	meter  *traffic.Meter
	drawn  *traffic.Map // of what the devices carry, as the overview last showed it
	looked []mptcp.Key

	filter  *filter.Expr
	listing listing
	order   order
	list    window // cursor: the item; top: the row
	chosen  mptcp.Key

	subject   mptcp.Key // the connection of the third screen
	follow    bool
	span      time.Duration
	scrolls   [Doctor + 1]window
	eventFrom int

	usages    usages
	diagnosis diagnosis
	diagnosed time.Time

	prompt  *prompt
	confirm *Change
	notice  string
}

// newModel makes the model. ask is told which connections are on the screen.
func newModel(ctx context.Context, c *Config, ask func([]mptcp.Key)) *model {
	m := &model{
		look: look{color: c.Color, ascii: c.ASCII || c.Plain, lines: c.Plain, zone: c.Zone},
		ctx:  ctx, config: c, ask: ask, screen: max(c.Screen, Overview), filter: c.Filter,
		state: track.NewState(time.Time{}, nil), meter: traffic.New(),
	}
	if m.zone == nil {
		m.zone = time.Local
	}
	m.latest = m.state
	if c.Doctor == nil {
		m.diagnosis.missing = cmp.Or(c.NoDoctor, "there is none")
	}
	return m
}

// Init implements [tea.Model].
func (m *model) Init() tea.Cmd { return nil }

// Update implements [tea.Model].
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case frame:
		cmd = m.frame(&msg)
	case diagnosed:
		m.diagnosis.running, m.diagnosis.err = false, msg.err
		m.diagnosis.report = &msg.report
		m.diagnosed = m.now
	case changed:
		m.notice = "done: " + msg.text
		if msg.err != nil {
			m.notice = msg.text + ": " + present.Escape(msg.err.Error())
		}
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.PasteMsg:
		if m.prompt != nil {
			m.prompt.insert(msg.Content)
		}
	case tea.KeyPressMsg:
		cmd = m.key(msg)
	}
	m.arrange()
	return m, cmd
}

// frame takes the newest state and events.
func (m *model) frame(f *frame) tea.Cmd {
	m.now = f.now
	m.latest, m.ended = f.state, f.ended
	if f.err != nil {
		m.err = f.err
		return tea.Quit
	}
	m.log.add(f.deltas, m.filter, f.state)
	m.pulse.add(f.deltas)
	m.pulse.advance(f.now)
	m.watch.observe(f.now, f.state)
	if at, known := traffic.FiguresAt(f.state, false); known {
		m.meter.Add(f.now, at, f.state)
	}
	if m.frozen.IsZero() {
		m.state = f.state
		m.upTo = m.log.seen()
	}
	return m.consult(false)
}

// consultEvery is how old a diagnosis may be while it is on the screen.
const consultEvery = 10 * time.Second

// consult asks the doctor, where his answer is shown and old.
func (m *model) consult(now bool) tea.Cmd {
	shown := m.screen == Overview || m.screen == Doctor
	fresh := !m.diagnosed.IsZero() && m.now.Sub(m.diagnosed) < consultEvery
	if m.config.Doctor == nil || m.diagnosis.running || !now && (!shown || fresh || !m.frozen.IsZero()) {
		return nil
	}
	m.diagnosis.running = true
	ctx, ask := m.ctx, m.config.Doctor
	return func() tea.Msg {
		report, err := ask(ctx)
		return diagnosed{report, err}
	}
}

// arrange puts the list in order and keeps cursors and windows within it.
func (m *model) arrange() {
	switch {
	case m.screen == Endpoints:
		m.usages.measure(m.state, m.now)
	case m.screen == Connections:
		m.arrangeList(false)
	case m.screen == Connection && m.subject == (mptcp.Key{}):
		m.arrangeList(true)
		m.subject = m.chosen
	}
	var keys []mptcp.Key
	switch m.screen {
	case Connections:
		end := m.list.top + m.bodyHeight()
		for i := m.order.itemAt(m.list.top); i < len(m.order.items) && m.order.items[i].first < end; i++ {
			keys = append(keys, m.order.items[i].key)
		}
	case Connection:
		keys = []mptcp.Key{m.subject}
	}
	if !slices.Equal(keys, m.looked) {
		m.looked = keys
		m.watch.on(keys)
		m.ask(keys)
	}
}

// arrangeList puts the list in order, if it is time to or now is true, and finds
// the cursor's connection again.
func (m *model) arrangeList(now bool) {
	m.listing.expr = m.filter
	if now || m.order.stale(m.now) {
		m.order = list(m.state, m.now, &m.listing)
		if i := m.order.find(m.chosen); i >= 0 {
			m.list.cursor = i
		}
	}
	items := m.order.items
	m.list.cursor = max(0, min(m.list.cursor, len(items)-1))
	if len(items) == 0 {
		m.list.top, m.chosen = 0, mptcp.Key{}
		return
	}
	at := &items[m.list.cursor]
	m.chosen = at.key
	height := m.bodyHeight() - 1 // the heading
	m.list.top = max(m.list.top, at.first+at.rows-height)
	m.list.top = min(m.list.top, at.first)
	m.list.scroll(m.order.rows, height)
}

// setFilter shows what the expression lets through from now on.
func (m *model) setFilter(expr *filter.Expr) {
	m.filter = expr
	m.log.judge(expr, m.latest)
	m.eventFrom = 0
	m.arrangeList(true)
}

// freeze stops all that moves, or lets it go on.
func (m *model) freeze() {
	if !m.frozen.IsZero() {
		m.frozen = time.Time{}
		m.state, m.upTo = m.latest, m.log.seen()
		return
	}
	m.frozen = m.now
}

// shownNow is the moment that the screen shows.
func (m *model) shownNow() time.Time {
	if !m.frozen.IsZero() {
		return m.frozen
	}
	return m.now
}

// open shows a connection on the third screen.
func (m *model) open(key mptcp.Key) {
	m.subject, m.chosen = key, key
	m.screen = Connection
	m.scrolls[Connection] = window{}
	m.span = 0
}

// toggleFollow follows the connection that is shown or under the cursor: its
// events alone are shown, and the cursor stays with it.
func (m *model) toggleFollow() {
	if m.follow {
		m.follow = false
		return
	}
	if m.screen != Connection {
		if m.chosen == (mptcp.Key{}) {
			m.notice = "choose a connection first (screen 2)"
			return
		}
		m.subject = m.chosen
	}
	if m.subject != (mptcp.Key{}) {
		m.follow = true
	}
}

// followed returns the connection that is followed, or nil.
func (m *model) followed() *mptcp.Key {
	if !m.follow {
		return nil
	}
	return &m.subject
}

// tell returns the facts about the third screen's connection, nil where it is not
// known any more.
func (m *model) tell() *story.Facts {
	facts, _ := story.Gather(m.state, m.subject, m.shownNow())
	return facts
}

// status is the line below the titles: what narrows or stops what is shown.
func (m *model) status() string {
	var parts []string
	add := func(s style, format string, args ...any) {
		parts = append(parts, m.paint(s, fmt.Sprintf(format, args...)))
	}
	switch {
	case m.latest.Err() != nil:
		add(bad, "the kernel cannot be read: %s", present.Escape(m.latest.Err().Error()))
	case m.ended:
		add(warn, "the recording has ended")
	}
	if !m.frozen.IsZero() {
		add(warn, "FROZEN at %s", m.clock(m.frozen))
	}
	if m.config.NoEvents != "" {
		add(warn, "%s", m.config.NoEvents)
	}
	if m.filter != nil {
		add(bold, "filter: %s", m.filter.String())
		if m.filter.NeedsEvents() && m.screen == Connections {
			add(warn, "(it selects events: screen 4)")
		}
	}
	if m.follow {
		add(bold, "following %s", m.subject)
	}
	if m.notice != "" {
		add(plainText, "%s", m.notice)
	}
	line := ""
	for i, part := range parts {
		if i > 0 {
			line += m.paint(dim, " | ")
		}
		line += part
	}
	return line
}
