package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"runtime"
	"time"

	"mptcpctl/internal/device"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"
)

func (a *app) monitorCommand() grammar.Command {
	return grammar.Command{
		Name:      "monitor",
		Summary:   "the path manager's events as they come, one line each",
		Synopsis:  []string{"[ FILTER ]"},
		Help:      monitorHelp,
		Privilege: "CAP_NET_ADMIN in the network namespace",
		Flags: []grammar.Flag{
			{Name: "json-array", Summary: "one JSON array in the form of iproute2 7.1"},
			{Name: "coalesce", Value: grammar.Duration, Metavar: "TIME", Summary: "how long an event may wait for others when more than 1,500 come a second (default: 2ms, above 18,000 a second only; 0: none ever waits)"},
			{Name: "buffer", Value: grammar.Number, Metavar: "MIB", Summary: "receive buffer in MiB (default 64; 16 with --engine ring); the ring that auto changes to is a quarter of it"},
			{Name: "engine", Value: grammar.Name, Metavar: "ENGINE", Choices: []string{"auto", "netlink", "ring"}, Summary: "netlink, or ring: cheaper when many events come, needs CAP_BPF and CAP_PERFMON, not with -a (default auto: netlink, and ring from when a storm of events has shown that it pays, where it is allowed)"},
		},
		Operand: grammar.Filter,
		IPRoute: true,
		Examples: []grammar.Example{
			{Line: "monitor", Meaning: "all events of this network namespace"},
			{Line: "-ts monitor dst :443", Meaning: "those of connections to port 443, with times"},
			{Line: "-j monitor event SF_CLOSED", Meaning: "subflows that end, as JSON"},
			{Line: "-ts -d monitor", Meaning: "also fallbacks, failed joins and silent paths"},
		},
		Run: a.monitor,
	}
}

func (a *app) monitor(ctx context.Context, inv *grammar.Invocation) error {
	expr, err := parseFilter(inv)
	if err != nil {
		return err
	}
	config, err := listenConfig(inv, expr)
	if err != nil {
		return err
	}
	derived := inv.Options.Details || expr.NeedsDerived()
	if inv.Has("json-array") && derived {
		return inv.Usage("--json-array is iproute2's form, which has no place for derived events and what -d adds")
	}
	config.Dedicated = !derived && !inv.Options.AllNetns && inv.Options.Replay == ""
	if !config.Dedicated {
		var done context.CancelFunc
		ctx, done = whileRead(ctx, inv.Stdout)
		defer done()
	} else {
		config.Output, _ = inv.Stdout.(*os.File) // a thread that waits for its end would cost a tenth of the start
		// A second processor would only be woken again and again to look for work.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	}
	if inv.Has("json-array") {
		// Catches signals before there is anything to end in order. The other forms
		// do when they begin to read: their first line comes a tenth sooner.
		ctx.Done()
	}
	stream, err := openEvents(ctx, inv, config, derived)
	if err != nil {
		return err
	}
	defer stream.close()
	devices := device.NewNames()
	devices.Find = stream.device
	m := &monitor{out: inv.Stdout, format: eventFormat(inv, devices), devices: devices, expr: expr.WithDevices(devices.Name)}
	if config.Dedicated {
		m.begun = calmWatchdog
	}
	if expr != nil {
		views, done := stream.views()
		m.context = newFlowContext(ctx, views)
		_ = done() // what it had to say was said by the snapshots
		if stream.recording == nil {
			m.context.present = func() (map[flowKey]bool, error) {
				views, done := stream.views()
				present, err := presentFlows(ctx, views)
				return present, errors.Join(err, done())
			}
		}
	}
	if derived {
		err = m.derive(ctx, inv, stream)
	} else {
		err = m.run(stream.batches(ctx), stream.queued)
	}
	if n := stream.refused(); n > 0 {
		a.warn("%d messages did not come from the kernel and were refused", n)
	}
	return err
}

// listenConfig returns what the flags and the filter ask of the listener.
func listenConfig(inv *grammar.Invocation, expr *filter.Expr) (*pathmanager.ListenConfig, error) {
	config := &pathmanager.ListenConfig{}
	mib, err := inv.Int("buffer", 1, 1024, 0)
	if err != nil {
		return nil, err
	}
	config.Buffer = mib << 20
	if value, ok := inv.Value("engine"); ok {
		if config.Engine, err = pathmanager.ParseEngine(value); err != nil {
			return nil, inv.Usage("--" + err.Error())
		}
	}
	if value, ok := inv.Value("coalesce"); ok {
		span, err := parseSpan(value)
		if err != nil || span < 0 || span > time.Minute {
			return nil, inv.Usage(fmt.Sprintf("--coalesce %q: want a time such as 5ms, at most 1m", value))
		}
		config.Coalesce = span
		if span == 0 {
			config.Coalesce = -1
		}
	}
	if expr != nil {
		config.Types = neededEvents(expr)
	}
	return config, nil
}

// neededEvents returns the events that the kernel must send for the filter: those
// that can match, and those that tell which connection a token is. Listener
// events tell nothing of connections: where nobody asked for them, a storm of
// them costs nothing.
func neededEvents(expr *filter.Expr) []mptcp.EventType {
	var types []mptcp.EventType
	matching := map[mptcp.EventType]bool{}
	for _, t := range expr.EventTypes() {
		matching[t] = true
	}
	for _, t := range mptcp.EventTypes() {
		listener := t == mptcp.EventListenerCreated || t == mptcp.EventListenerClosed
		if matching[t] || !listener {
			types = append(types, t)
		}
	}
	return types
}

// subscribeError says what is missing for events, and what works without.
func subscribeError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return exit.With(exit.IPUsage, fmt.Errorf("monitor: can't subscribe to mptcp events: Operation not permitted: "+
			"events need CAP_NET_ADMIN in the network namespace (root); without it these work: connection, endpoint show, limits show, paths, counters, doctor%w", quiet{err}))
	}
	return exit.With(exit.IPUsage, fmt.Errorf("monitor: can't subscribe to mptcp events: %w", err))
}

// quiet hides the text of an error that has been put in better words, and keeps
// what it is.
type quiet struct{ err error }

func (q quiet) Error() string { return "" }
func (q quiet) Unwrap() error { return q.err }

// parseFilter reads the arguments of the command as an expression.
func parseFilter(inv *grammar.Invocation) (*filter.Expr, error) {
	expr, err := filter.Parse(inv.Args...)
	if err != nil {
		return nil, inv.Usage(err.Error())
	}
	o := &inv.Options
	if expr.NamesNetns() && !o.AllNetns && o.Netns == "" && o.Replay == "" && !inv.Has("from") {
		return nil, inv.Usage("netns: only the own network namespace is looked at, which has no name here: -a looks at all")
	}
	return expr.Within(o.Netns), nil
}

// eventWriter renders events in one of their forms.
type eventWriter interface {
	Append(b []byte, e *mptcp.Event) []byte
	AppendDelta(b []byte, d *track.Delta) []byte
}

// eventForm is a form of the event stream: what comes before, between and after
// the events.
type eventForm struct {
	eventWriter
	open, between, end, shut string
}

func eventFormat(inv *grammar.Invocation, devices *device.Names) eventForm {
	o := &inv.Options
	switch {
	case inv.Has("json-array"):
		return eventForm{&present.EventJSON{IPRoute2: true, Device: devices.Name}, "[", ",", "", "]\n"}
	case o.JSON:
		return eventForm{&present.EventJSON{Device: devices.Name}, "", "", "\n", ""}
	}
	text := &present.EventText{Colors: palette(inv), Details: o.Details, OneLine: o.OneLine, Device: devices.Name}
	switch {
	case o.TimestampShort:
		text.Time = present.ShortTime
	case o.Timestamp:
		text.Time = present.LongTime
	}
	return eventForm{text, "", "", "", ""}
}

// monitor prints a stream of events.
type monitor struct {
	out     io.Writer
	format  eventForm
	devices *device.Names
	expr    *filter.Expr
	context *flowContext // nil without a filter
	note    func()       // tells of what changed apart from events; nil: nothing does
	begun   func()       // called after the first events, which need not wait for it; nil: nothing is to be done

	buffer  []byte
	printed bool
}

// run prints until the context ends, and then what has come by that time, and
// returns nil. It writes once a batch: what has been read is out before the next
// wait.
func (m *monitor) run(batches iter.Seq2[[]mptcp.Event, error], queued func() iter.Seq2[[]mptcp.Event, error]) error {
	if err := m.write([]byte(m.format.open)); err != nil {
		return err
	}
	if err := m.printAll(batches); err != nil {
		return err
	}
	if queued != nil {
		if err := m.printAll(queued()); err != nil {
			return err
		}
	}
	return m.write([]byte(m.format.shut))
}

func (m *monitor) printAll(batches iter.Seq2[[]mptcp.Event, error]) error {
	for batch, err := range batches {
		if err != nil {
			return err
		}
		if err := m.print(batch); err != nil {
			return err
		}
		if m.begun != nil {
			m.begun()
			m.begun = nil
		}
	}
	return nil
}

func (m *monitor) print(batch []mptcp.Event) error {
	m.buffer = m.buffer[:0]
	for i := range batch {
		m.devices.Netns = batch[i].Netns
		if !m.wants(&batch[i]) {
			continue
		}
		if m.printed {
			m.buffer = append(m.buffer, m.format.between...)
		}
		m.printed = true
		m.buffer = m.format.Append(m.buffer, &batch[i])
		m.buffer = append(m.buffer, m.format.end...)
	}
	return m.write(m.buffer)
}

func (m *monitor) wants(e *mptcp.Event) bool {
	if m.expr == nil {
		return true
	}
	return m.expr.EventOf(e, m.context.follow(e))
}

func (m *monitor) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := m.out.Write(b)
	return err
}
