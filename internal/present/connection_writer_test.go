package present_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

// some returns n connections, of which some have neither subflows nor processes.
func some(n int) []mptcp.Connection {
	list := make([]mptcp.Connection, n)
	for i := range list {
		c := &list[i]
		c.Token, c.State = mptcp.Token(i+1), mptcp.StateEstablished
		c.Local, c.Remote = netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("[fd00::2]:443")
		if i%2 == 0 {
			c.Processes = []mptcp.Process{{PID: i, Name: "<a & \"b\">"}}
			c.Subflows = []mptcp.Subflow{{Local: c.Local, Remote: c.Remote, Initial: true}, {LocalID: 2}}
		}
	}
	return list
}

// One by one, the connections are the same JSON as in one array.
func TestConnectionWriterJSON(t *testing.T) {
	for _, n := range []int{0, 1, 2, 300} {
		for _, pretty := range []bool{false, true} {
			list := some(n)
			whole := some(n)
			for i := range whole {
				if whole[i].Processes == nil {
					whole[i].Processes, whole[i].Subflows = []mptcp.Process{}, []mptcp.Subflow{}
				}
			}
			var want, got bytes.Buffer
			if err := present.JSON(&want, whole, pretty); err != nil {
				t.Fatal(err)
			}
			if err := present.ConnectionsJSON(&got, list, pretty); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("%d connections, pretty %v: got %.300s, want %.300s", n, pretty, got.String(), want.String())
			}
			if n > 1 && list[1].Subflows != nil {
				t.Error("the connection was changed")
			}
		}
	}
}

// counted counts the writes, and fails from one on.
type counted struct {
	bytes.Buffer
	writes, most int
}

var errFull = errors.New("full")

func (c *counted) Write(b []byte) (int, error) {
	if c.writes++; c.writes > c.most {
		return 0, errFull
	}
	return c.Buffer.Write(b)
}

func TestConnectionWriterText(t *testing.T) {
	list := some(2000)
	var text present.ConnectionText
	var want []byte
	for i := range list {
		want = text.Append(want, &list[i])
	}
	out := &counted{most: 1000}
	w := present.ConnectionWriter{Out: out}
	for i := range list {
		if err := w.Write(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || w.Count() != len(list) {
		t.Errorf("%d connections, %v", w.Count(), err)
	}
	if out.String() != string(want) {
		t.Error("the text differs from that of the connections one by one")
	}
	if most := len(want)>>16 + 1; out.writes > most {
		t.Errorf("%d writes for %d bytes, want %d at most", out.writes, len(want), most)
	}
	full := present.ConnectionWriter{Out: &counted{}}
	var err error
	for i := 0; err == nil && i < len(list); i++ {
		err = full.Write(&list[i])
	}
	if !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
	empty := present.ConnectionWriter{Out: &counted{}}
	if err := empty.Close(); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
}
