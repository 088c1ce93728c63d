package peer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/doctor"
)

func TestParse(t *testing.T) {
	for _, test := range []struct{ text, where, port string }{
		{"ssh:host", "host", ""},
		{"ssh:root@host", "root@host", ""},
		{"ssh:root@host:2222", "root@host", "2222"},
		{"ssh:[2001:db8::1]:22", "2001:db8::1", "22"},
		{"ssh:a@[2001:db8::1]", "a@2001:db8::1", ""},
		{"ssh:2001:db8::1", "2001:db8::1", ""},
	} {
		one, err := parse(test.text)
		r, ok := one.(*remote)
		if err != nil || !ok || r.where != test.where || r.port != test.port {
			t.Errorf("%s: %+v, %v", test.text, one, err)
		}
	}
	for _, text := range []string{
		"ssh:", "ssh:host:0", "ssh:host:x", "ssh:-oProxyCommand=x", "ssh:a b", "https://host", "ssh:root@",
		"ssh:host:65536",
	} {
		if one, err := parse(text); err == nil {
			t.Errorf("%s: %+v", text, one)
		}
	}
	if one, err := parse("some.tgz"); err != nil || one != file("some.tgz") {
		t.Errorf("%v, %v", one, err)
	}
}

// The two ends of the talk: the clock's difference is within half of a round trip, and the
// host gathers only when it was asked for its clock.
func TestConverse(t *testing.T) {
	toThere, fromHere := io.Pipe()
	toHere, fromThere := io.Pipe()
	asked := make(chan struct{})
	go func() {
		io.WriteString(fromThere, "Welcome to this machine\n") //nolint:errcheck // a greeting of the shell
		err := Answer(fromThere, toThere, func() ([]doctor.Facts, error) {
			<-asked
			return []doctor.Facts{{Netns: "blue", Time: time.Unix(1, 0).UTC()}}, nil
		})
		fromThere.CloseWithError(err)
	}()
	sent := make(chan struct{})
	close(sent)
	h, err := converse(fromHere, toHere, sent, func() { close(asked) })
	if err != nil || len(h.Facts) != 1 || h.Facts[0].Netns != "blue" {
		t.Fatalf("%+v, %v", h, err)
	}
	if h.Within <= 0 || h.Ahead.Abs() > h.Within {
		t.Errorf("the same clock is %v ahead, within %v", h.Ahead, h.Within)
	}
}

// What is no answer is an error, and nothing is waited for.
func TestConverseWithNoise(t *testing.T) {
	sent := make(chan struct{})
	close(sent)
	for _, text := range []string{
		"", "sh: mptcpctl: not found\n", clockMark + "yesterday\n", clockMark + "2026-12-01T12:00:00Z\n",
		strings.Repeat(clockMark+"2026-12-01T12:00:00Z\n", 2),
		strings.Repeat(clockMark+"2026-12-01T12:00:00Z\n", 2) + "{}",
		strings.Repeat(clockMark+"2026-12-01T12:00:00Z\n", 2) + `[{"Time":`,
		strings.Repeat("x", 1<<20), strings.Repeat("\n", 1<<16),
	} {
		_, err := converse(nopCloser{io.Discard}, strings.NewReader(text), sent, func() {})
		if !errors.Is(err, errProgram) {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// A program that ends after its first line is no broken pipe, which ends commands silently.
func TestConverseWithTheGone(t *testing.T) {
	there, here := io.Pipe()
	there.CloseWithError(syscall.EPIPE)
	sent := make(chan struct{})
	close(sent)
	_, err := converse(here, strings.NewReader(clockMark+"2026-12-01T12:00:00Z\n"), sent, func() {})
	if !errors.Is(err, errProgram) || errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v", err)
	}
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func TestTail(t *testing.T) {
	var b tail
	for range 100 {
		b.Write(bytes.Repeat([]byte("noise "), 100)) //nolint:errcheck // it has none
	}
	b.Write([]byte("the end\n")) //nolint:errcheck // it has none
	if got := b.text(); len(got) > maxNoise || !strings.HasSuffix(got, "the end") {
		t.Errorf("%d bytes kept", len(got))
	}
}

// Each host that fails has its error; the others are there.
func TestHosts(t *testing.T) {
	a, err := Ask(context.Background(), []string{"/nonexistent", t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Begun()
	hosts, failed := a.Hosts()
	var first *Error
	if len(hosts) != 0 || len(failed) != 2 || !errors.As(failed[0], &first) || !errors.Is(first, os.ErrNotExist) {
		t.Errorf("%v, %v", hosts, failed)
	}
	if _, err := Ask(context.Background(), []string{"https://x"}, nil); err == nil {
		t.Error("https is taken")
	}
}
