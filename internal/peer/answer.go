package peer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"mptcpctl/doctor"
)

// clockMark begins the lines of the clock.
const clockMark = "mptcpctl clock "

// Answer is the other end of what Ask does by ssh: it writes the time of this host's clock as
// a line, again when a line or the end of the input is read, and then the facts, as a list in
// JSON. So the asker knows the clock's difference to half a round trip, and when to gather.
func Answer(to io.Writer, from io.Reader, gather func() ([]doctor.Facts, error)) error {
	if err := writeClock(to); err != nil {
		return err
	}
	if _, err := bufio.NewReader(from).ReadSlice('\n'); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := writeClock(to); err != nil {
		return err
	}
	facts, err := gather()
	if err != nil {
		return err
	}
	return json.NewEncoder(to).Encode(facts)
}

func writeClock(to io.Writer) error {
	_, err := fmt.Fprintf(to, "%s%s\n", clockMark, time.Now().UTC().Format(time.RFC3339Nano))
	return err
}
