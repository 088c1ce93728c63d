package recording

import (
	"time"

	"mptcpctl/track"
)

// TrackWhole returns how a tracker plays a recording of which all is to be seen at its
// end.
func TrackWhole() *track.Config {
	return &track.Config{
		Buffer: 1 << 16, KeepTime: 1000 * time.Hour, Keep: 1 << 14, History: 1 << 10, HistoryTotal: 1 << 18,
	}
}
