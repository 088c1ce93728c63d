package whole

import (
	"os"
	"path/filepath"
	"time"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/history"
	"mptcpctl/internal/serve"
)

// historyFolder returns the folder of the history where none is named: the one that systemd
// gives to the service, else the one that it has by default.
func historyFolder() string {
	if state := os.Getenv("STATE_DIRECTORY"); filepath.IsAbs(state) {
		return filepath.Join(state, "history")
	}
	return "/var/lib/mptcpctl/history"
}

// keptHistory reads the flags about the history, nil where none is to be kept.
func keptHistory(inv *grammar.Invocation) (*serve.History, error) {
	folder, ok := inv.Value("history")
	if !ok {
		for _, flag := range []string{"history-size", "history-age", "history-sync"} {
			if inv.Has(flag) {
				return nil, inv.Usage("--" + flag + " needs --history")
			}
		}
		return nil, nil
	}
	if inv.Options.Replay != "" {
		return nil, inv.Usage("--history: a recording is a history already")
	}
	if folder == "" {
		folder = historyFolder()
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	h := &serve.History{Folder: folder}
	if text, ok := inv.Value("history-size"); ok {
		if h.Size, err = line.Size(text); err != nil {
			return nil, inv.Usage("--history-size " + err.Error())
		}
	}
	if h.Age, err = historySpan(inv, "history-age", time.Minute); err != nil {
		return nil, err
	}
	if !inv.Has("history-sync") {
		return h, nil
	}
	if h.Sync, err = historySpan(inv, "history-sync", 0); err == nil && h.Sync == 0 {
		h.Sync = history.InMemory
	}
	return h, err
}

// historySpan reads a flag that is a time, 0 where it is not given.
func historySpan(inv *grammar.Invocation, flag string, least time.Duration) (time.Duration, error) {
	text, ok := inv.Value(flag)
	if !ok {
		return 0, nil
	}
	span, err := line.Span(text)
	if err != nil || span < least {
		return 0, inv.Usage("--" + flag + " " + text + ": want a time such as 90m or 7d, at least " + least.String())
	}
	return span, nil
}
