package cli

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source/live"
	"mptcpctl/pathmanager"
)

func (a *app) recordCommand() grammar.Command {
	return grammar.Command{
		Name:      "record",
		Summary:   "record what the kernel reports to a file that doctor, top and monitor can replay",
		Synopsis:  []string{"FILE [ for TIME ] [ every TIME ]"},
		Help:      recordHelp,
		Privilege: "CAP_NET_ADMIN in the network namespace for events; without it only the dumps are recorded",
		Flags: []grammar.Flag{
			{Name: "force", Letter: 'f', Summary: "overwrite an existing file"},
			{
				Name:    "size",
				Value:   grammar.Word,
				Metavar: "BYTES",
				Summary: "go on in another file at that size, such as 100M",
			},
			{
				Name:    "keep",
				Value:   grammar.Word,
				Metavar: "N",
				Summary: "with --size: keep the newest N files (default all)",
			},
		},
		Keywords: []grammar.Keyword{
			{Name: "for", Value: grammar.Duration, Summary: "how long to record"},
			{Name: "every", Value: grammar.Duration, Summary: "time between two dumps (default 5s)"},
		},
		Operand: grammar.File,
		Examples: []grammar.Example{
			{Line: "record trouble.pcapng for 1m", Meaning: "one minute"},
			{Line: "record trouble.pcapng.gz for 1h", Meaning: "compressed, to about a fifth"},
			{Line: "record ring.pcapng.gz --size 100M --keep 5", Meaning: "until ^C, the newest 500 MB at most"},
			{Line: "-a record host.pcapng for 1m", Meaning: "all network namespaces"},
			{
				Line:    "record trouble.pcapng every 1s",
				Meaning: "until ^C; `--replay trouble.pcapng -ts -d monitor` then shows what happened",
			},
		},
		Run: a.record,
	}
}

// recordRequest is what the command line of record asks for.
type recordRequest struct {
	file  string
	span  time.Duration // 0: until a signal
	every time.Duration
	size  int64 // of a file; 0: any
	keep  int   // files; 0: all
}

func (a *app) record(ctx context.Context, inv *grammar.Invocation) error {
	r, err := recordArguments(inv)
	if err != nil {
		return err
	}
	if r.span > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.span)
		defer cancel()
	}
	config := &live.RecordConfig{
		Program: "mptcpctl " + moduleVersion(), Every: r.every, Events: &pathmanager.ListenConfig{},
		All: inv.Options.AllNetns, Warn: func(err error) { line.LeftOut(inv, err) },
	}
	progress, clear := recordProgress(inv)
	config.Progress = progress
	total, err := a.recordParts(ctx, inv, &r, config)
	clear()
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	if line.IsTerminal(inv.Stderr) || total.Lost > 0 || total.Refused > 0 {
		fmt.Fprintln(inv.Stderr, recordLine(total))
	}
	return nil
}

func recordArguments(inv *grammar.Invocation) (r recordRequest, err error) {
	args := inv.Args
	if len(args) == 0 {
		return r, inv.Usage("the file's name is missing")
	}
	r.file, args = args[0], args[1:]
	if err := r.bounds(inv); err != nil {
		return r, err
	}
	for ; len(args) >= 2; args = args[2:] {
		into := &r.span
		switch args[0] {
		case "for":
		case "every":
			into = &r.every
		default:
			return r, inv.Usage(fmt.Sprintf("%q: want `for TIME` or `every TIME`", args[0]))
		}
		*into, err = line.Span(args[1])
		if err != nil || *into < 100*time.Millisecond {
			return r, inv.Usage(fmt.Sprintf("%s %q: want a time such as 30s, at least 100ms", args[0], args[1]))
		}
	}
	if len(args) > 0 {
		return r, inv.Usage(fmt.Sprintf("%q: want `for TIME` or `every TIME`, with a time such as 30s", args[0]))
	}
	return r, nil
}

// bounds reads the options --size and --keep.
func (r *recordRequest) bounds(inv *grammar.Invocation) (err error) {
	if text, given := inv.Value("size"); given {
		if r.size, err = line.Size(text); err != nil {
			return inv.Usage("--size " + err.Error())
		}
		if r.file == "-" {
			return inv.Usage("--size needs files, not the standard output")
		}
	}
	if text, given := inv.Value("keep"); given {
		if r.keep, err = strconv.Atoi(text); err != nil || r.keep < 1 || r.size == 0 {
			return inv.Usage(fmt.Sprintf("--keep %q: want a number of files, together with --size", text))
		}
	}
	return nil
}

// recordingOnStdout returns standard output, unless it is a terminal.
func recordingOnStdout(inv *grammar.Invocation) (w io.Writer, done func() error, err error) {
	if line.IsTerminal(inv.Stdout) {
		return nil, nil, errors.New("a recording cannot go to a terminal: name a file, or redirect the output")
	}
	return inv.Stdout, func() error { return nil }, nil
}

// existsAlready says how to overwrite a file.
func existsAlready(name string) error {
	return fmt.Errorf("%s exists: use --force to overwrite it", present.Escape(name))
}

// flushed compresses so that what was written can be read back should the rest never
// come.
type flushed struct{ zip *gzip.Writer }

func (f flushed) Write(b []byte) (int, error) {
	n, err := f.zip.Write(b)
	return n, errors.Join(err, f.zip.Flush())
}

// recordProgress returns what shows the progress, where stderr is a terminal, and
// what takes it away again.
func recordProgress(inv *grammar.Invocation) (show func(live.Progress), clear func()) {
	if !line.IsTerminal(inv.Stderr) {
		return nil, func() {}
	}
	var last time.Time
	show = func(p live.Progress) {
		if now := time.Now(); now.Sub(last) >= 200*time.Millisecond {
			last = now
			fmt.Fprint(inv.Stderr, "\r\x1b[K", recordLine(p), " (^C ends)")
		}
	}
	return show, func() { fmt.Fprint(inv.Stderr, "\r\x1b[K") }
}

func recordLine(p live.Progress) string {
	line := fmt.Sprintf("%d events, %d dumps, %s kB", p.Events, p.Snapshots, strconv.FormatUint(p.Bytes/1000, 10))
	if p.Lost > 0 {
		line += fmt.Sprintf(", %d events lost", p.Lost)
	}
	if p.Refused > 0 {
		line += fmt.Sprintf(", %d messages refused that did not come from the kernel", p.Refused)
	}
	return line
}
