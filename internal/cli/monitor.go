package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/device"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/monitor"
	"mptcpctl/internal/pace"
	"mptcpctl/internal/present"
	"mptcpctl/internal/process"
	"mptcpctl/pathmanager"
)

func (a *app) monitorCommand() grammar.Command {
	return grammar.Command{
		Name:      "monitor",
		Summary:   "print the path manager's events as they arrive, one line each",
		Synopsis:  []string{"[ FILTER ]"},
		Help:      monitorHelp,
		Privilege: "CAP_NET_ADMIN in the network namespace",
		Flags: []grammar.Flag{
			{Name: "json-array", Summary: "one JSON array in the form of iproute2 7.1"},
			{
				Name:    "coalesce",
				Value:   grammar.Duration,
				Metavar: "TIME",
				Summary: "how long an event may wait for others if more than 1,500 arrive per second (default 2ms, " +
					"only above 18,000 per second; 0: never)",
			},
			{
				Name:    "buffer",
				Value:   grammar.Number,
				Metavar: "MIB",
				Summary: "receive buffer in MiB (default 64; 16 with --engine ring); if auto switches to the ring, " +
					"the ring gets a quarter of it",
			},
			{
				Name:    "engine",
				Value:   grammar.Name,
				Metavar: "ENGINE",
				Choices: []string{"auto", "netlink", "ring"},
				Summary: "netlink, or ring: cheaper if many events arrive, needs CAP_BPF and CAP_PERFMON, not with " +
					"-a (default auto: netlink, and ring once a storm of events shows that it pays, if it is allowed)",
			},
		},
		Operand: grammar.Filter,
		IPRoute: true,
		Examples: []grammar.Example{
			{Line: "monitor", Meaning: "all events of this network namespace"},
			{Line: "-ts monitor dst :443", Meaning: "events of connections to port 443, with times"},
			{Line: "-j monitor event SF_CLOSED", Meaning: "subflows that end, as JSON"},
			{Line: "-ts -d monitor", Meaning: "also fallbacks, failed joins and silent paths"},
		},
		Run: a.monitor,
	}
}

func (a *app) monitor(ctx context.Context, inv *grammar.Invocation) error {
	expr, err := line.Filter(inv)
	if err != nil {
		return err
	}
	config, err := listenConfig(inv, expr)
	if err != nil {
		return err
	}
	asked, err := askedPace(inv)
	if err != nil {
		return err
	}
	derived := inv.Options.Details || expr.NeedsDerived()
	if inv.Has("json-array") && derived {
		return inv.Usage("--json-array is iproute2's form, which has no derived events and none of what -d adds")
	}
	if !derived && !inv.Options.AllNetns && inv.Options.Replay == "" {
		asked.Dedicated, asked.Late = true, process.BeInTime
		asked.Output, _ = inv.Stdout.(*os.File) // a thread that waits for its end would cost a tenth of the start
		defer process.OneProcessor()()
	} else {
		var done context.CancelFunc
		ctx, done = process.WhileRead(ctx, inv.Stdout)
		defer done()
		catchSignals(ctx) // it opens much, also after it has subscribed: events may come meanwhile
	}
	ctx = pace.With(ctx, asked)
	if inv.Has("json-array") {
		catchSignals(ctx) // "[" must not be all that there is
	}
	stream, err := openEvents(ctx, inv, config, derived)
	if err != nil {
		return err
	}
	// The other forms print nothing before they read, so they need not catch signals before
	// they have subscribed: their first line comes a tenth sooner.
	catchSignals(ctx)
	defer stream.Close()
	if stream.Recording == nil {
		stream.Lag = max(asked.Coalesce, 0)
	}
	devices := device.NewNames()
	devices.Find = stream.Device
	m := &monitor.Printer{
		Out:     inv.Stdout,
		Form:    eventFormat(inv, devices, a.lineEnd(inv)),
		Devices: devices,
		Expr:    expr.WithDevices(devices.Name),
	}
	if asked.Dedicated {
		m.Begun = process.CalmMonitor
	}
	if expr != nil && !derived {
		views, done := stream.Views()
		m.Context = monitor.NewContext(ctx, views)
		_ = done() // what it had to say was said by the snapshots
		if stream.Recording == nil {
			m.Context.Present = func() (map[monitor.Flow]bool, error) {
				views, done := stream.Views()
				present, err := monitor.Present(ctx, views)
				return present, errors.Join(err, done())
			}
		}
	}
	if derived {
		m.Note = func(engine string) { fmt.Fprintf(inv.Stderr, "%s: event engine: %s\n", inv.Program, engine) }
		err = m.Derive(ctx, stream)
	} else {
		err = m.Run(stream.Batches(ctx), stream.Queued)
	}
	if n := stream.Refused(); n > 0 {
		a.warn("%d messages that did not come from the kernel were refused", n)
	}
	return err
}

// openEvents opens the events that the options mean. Without derived ones, -a and
// --replay they come straight from the listener.
func openEvents(
	ctx context.Context, inv *grammar.Invocation, config *pathmanager.ListenConfig, derived bool,
) (stream *monitor.Stream, err error) {
	switch {
	case inv.Options.Replay != "":
		return openRecordedEvents(inv)
	case inv.Options.AllNetns:
		stream, err = monitor.DialAll(ctx, config, func(err error) { line.LeftOut(inv, err) })
	case derived:
		stream, err = monitor.Dial(config)
	default:
		stream, err = monitor.Listen(config)
	}
	if err != nil {
		return nil, subscribeError(err)
	}
	return stream, nil
}

func openRecordedEvents(inv *grammar.Invocation) (*monitor.Stream, error) {
	recording, err := line.Recording(inv)
	if err != nil {
		return nil, exit.With(exit.IPUsage, fmt.Errorf("monitor: %w", err))
	}
	return monitor.Replay(recording), nil
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
	if expr != nil {
		config.Types = monitor.NeededEvents(expr)
	}
	return config, nil
}

// askedPace returns what the flags say about the pace of reading.
func askedPace(inv *grammar.Invocation) (pace.Pace, error) {
	value, ok := inv.Value("coalesce")
	if !ok {
		return pace.Pace{}, nil
	}
	span, err := line.Span(value)
	switch {
	case err != nil || span < 0 || span > time.Minute:
		return pace.Pace{}, inv.Usage(fmt.Sprintf("--coalesce %q: want a time such as 5ms, at most 1m", value))
	case span == 0:
		span = -1
	}
	return pace.Pace{Coalesce: span}, nil
}

// subscribeError says what is missing for events, and what works without.
func subscribeError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return exit.With(exit.IPUsage, fmt.Errorf("monitor: can't subscribe to mptcp events: Operation not permitted: "+
			"events need CAP_NET_ADMIN in the network namespace (root); without it these commands work: connection, "+
			"endpoint show, limits show, paths, counters, doctor%w", quiet{err}))
	}
	return exit.With(exit.IPUsage, fmt.Errorf("monitor: can't subscribe to mptcp events: %w", err))
}

// quiet hides the text of an error that has been put in better words, and keeps
// what it is.
type quiet struct{ err error }

func (q quiet) Error() string { return "" }
func (q quiet) Unwrap() error { return q.err }

// eventFormat returns the form of the event stream that the options ask for; lineEnd ends
// a line of text.
func eventFormat(inv *grammar.Invocation, devices *device.Names, lineEnd string) monitor.Form {
	o := &inv.Options
	switch {
	case inv.Has("json-array"):
		return arrayFormat(o, devices)
	case o.JSON:
		return monitor.Form{Writer: &present.EventJSON{Device: devices.Name}, End: "\n"}
	}
	text := &present.EventText{
		Colors:  line.Palette(inv),
		Details: o.Details,
		OneLine: o.OneLine,
		Device:  devices.Name,
		Time:    timeStyle(o),
		End:     lineEnd,
	}
	return monitor.Form{Writer: text}
}

// arrayFormat is the form of `ip -j mptcp monitor`.
func arrayFormat(o *grammar.Options, devices *device.Names) monitor.Form {
	form := monitor.Form{
		Writer: &present.EventJSON{IPRoute2: true, Device: devices.Name, Time: timeStyle(o), Pretty: o.Pretty},
		Open:   "[", Between: ",", Shut: "]\n",
	}
	if o.Pretty {
		form.Open, form.Shut = "[ ", " ]\n"
	}
	return form
}

// timeStyle is how -t and -ts show the time of an event.
func timeStyle(o *grammar.Options) present.TimeStyle {
	switch {
	case o.TimestampShort:
		return present.ShortTime
	case o.Timestamp:
		return present.LongTime
	}
	return present.NoTime
}
