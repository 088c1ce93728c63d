package serve

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd, where it started us, when the first state is there, from
// then on that the state is kept, and at last that we stop.
func (s *service) notify(ctx context.Context) error {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return err
	}
	pause := 100 * time.Millisecond
	for ready := false; ; {
		if s.server.Ready() == nil {
			if !ready {
				ready = true
				s.log.Info("ready", "connections", s.tracker.State().Len())
				s.tell(daemon.SdNotifyReady)
			}
			if watchdog > 0 {
				s.tell(daemon.SdNotifyWatchdog)
				pause = watchdog / 3
			}
		}
		if ready && watchdog == 0 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			continue
		}
		break
	}
	<-ctx.Done()
	s.tell(daemon.SdNotifyStopping)
	return nil
}

// tell sends systemd a word. Where it does not read, or is gone, the server goes on:
// nothing in it may hang on that.
func (s *service) tell(word string) {
	told := make(chan error, 1)
	go func() {
		_, err := daemon.SdNotify(false, word)
		told <- err
	}()
	select {
	case err := <-told:
		if err != nil {
			s.log.Warn("systemd could not be notified", "word", word, "error", err)
		}
	case <-time.After(time.Second):
		s.log.Warn("systemd could not be notified: it does not read", "word", word)
	}
}
