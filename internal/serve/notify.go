package serve

import (
	"context"
	"net"
	"os"
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

// systemd is the way to the service manager that started this process. It is opened before
// the server confines itself: later the socket may be out of its reach. nil: nobody asks.
type systemd struct{ socket *net.UnixConn }

// dialSystemd connects to the socket that $NOTIFY_SOCKET names (sd_notify(3)).
func dialSystemd() (*systemd, error) {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil, nil
	}
	socket, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	return &systemd{socket}, nil
}

// Close closes the socket.
func (d *systemd) Close() error {
	if d == nil {
		return nil
	}
	return d.socket.Close()
}

// tell sends systemd a word. Where it does not read, or is gone, the server goes on:
// nothing in it may hang on that.
func (s *service) tell(word string) {
	if s.systemd == nil {
		return
	}
	err := s.systemd.socket.SetWriteDeadline(time.Now().Add(time.Second))
	if err == nil {
		_, err = s.systemd.socket.Write([]byte(word))
	}
	if err != nil {
		s.log.Warn("systemd could not be notified", "word", word, "error", err)
	}
}
