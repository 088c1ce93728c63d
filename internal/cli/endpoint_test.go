package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/exit"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// fakePathManager is a kernel that knows fewer flags than this program, and says
// no to who may not.
type fakePathManager struct {
	pathManager // what a test does not expect panics

	knows     mptcp.EndpointFlags
	endpoints []mptcp.Endpoint
	refuse    error
	closed    bool
}

func (f *fakePathManager) Close() error {
	f.closed = true
	return nil
}

func (f *fakePathManager) Endpoints(context.Context) iter.Seq2[mptcp.Endpoint, error] {
	return func(yield func(mptcp.Endpoint, error) bool) {
		for _, e := range f.endpoints {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (f *fakePathManager) AddEndpoint(_ context.Context, e mptcp.Endpoint) error {
	e.Flags &= f.knows
	if e.ID == 0 {
		e.ID = mptcp.AddressID(len(f.endpoints) + 1)
	}
	f.endpoints = append(f.endpoints, e)
	return f.refuse
}

func (f *fakePathManager) Limits(context.Context) (mptcp.Limits, error) {
	return mptcp.Limits{}, f.refuse
}

// runFake runs a command line on the fake.
func runFake(f *fakePathManager, line string) answer {
	var stdout, stderr bytes.Buffer
	a := &app{
		Streams: Streams{strings.NewReader(""), &stdout, &stderr},
		program: "mptcpctl",
		dial:    func() (pathManager, error) { return f, nil },
	}
	code := a.main(context.Background(), strings.Fields(line))
	a.close()
	return answer{stdout.String(), stderr.String(), code}
}

func TestMaskedFlagsAreTold(t *testing.T) {
	old := mptcp.FlagSignal | mptcp.FlagSubflow | mptcp.FlagBackup
	for line, want := range map[string]string{
		"endpoint add 10.0.0.1 laminar":                 "mptcpctl: warning: this kernel does not know the flag laminar and dropped it: the endpoint is 10.0.0.1 id 1 \n",
		"endpoint add 10.0.0.1 subflow fullmesh backup": "mptcpctl: warning: this kernel does not know the flag fullmesh and dropped it: the endpoint is 10.0.0.1 id 1 subflow backup\n",
		"endpoint add 10.0.0.1 subflow id 5":            "",
	} {
		f := &fakePathManager{knows: old}
		got := runFake(f, line)
		if got.stderr != want || got.code != 0 || got.stdout != "" {
			t.Errorf("%s\n%v\nwant stderr %q", line, got, want)
		}
		if !f.closed {
			t.Errorf("%s: the path manager was not closed", line)
		}
	}
	if got := runFake(&fakePathManager{knows: ^mptcp.EndpointFlags(0)}, "endpoint add 10.0.0.1 laminar"); got.stderr != "" {
		t.Errorf("a kernel that knows the flag: %v", got)
	}
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		refuse error
		want   string
		code   int
	}{
		{&pathmanager.Error{Op: "endpoint add", Object: "10.0.0.1", Err: fs.ErrPermission}, "mptcpctl: endpoint add 10.0.0.1: permission denied (this needs CAP_NET_ADMIN", 2},
		{mptcp.ErrNotSupported, "mptcpctl: endpoint add: not supported by this kernel (MPTCP needs Linux 5.6", 2},
		{context.Canceled, "", exit.Interrupted},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, "mptcpctl: endpoint add: open x: permission denied\n", 2},
		{fmt.Errorf("x: needs CAP_NET_ADMIN%w", quiet{fs.ErrPermission}), "mptcpctl: endpoint add: x: needs CAP_NET_ADMIN\n", 2},
		{&enterError{"x", compat.CError(syscall.EPERM)}, "mptcpctl: endpoint add: setting the network namespace \"x\" failed: Operation not permitted (entering a network namespace needs CAP_SYS_ADMIN", 2},
		{errors.New("odd"), "mptcpctl: endpoint add: odd\n", 2},
	} {
		got := runFake(&fakePathManager{refuse: c.refuse}, "endpoint add 10.0.0.1")
		if !strings.HasPrefix(got.stderr, c.want) || (c.want == "") != (got.stderr == "") || got.code != c.code {
			t.Errorf("%v: %v, want %q and exit %d", c.refuse, got, c.want, c.code)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for word, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "10.1": "10.1.0.0", "010.0x1f": "8.31.0.0", "7": "7.0.0.0", "::1": "::1",
		"::ffff:10.0.0.1": "::ffff:10.0.0.1", "fe80::1": "fe80::1",
	} {
		if got, ok := parseAddress(word); !ok || got != netip.MustParseAddr(want) {
			t.Errorf("%q: %v, %v; want %s", word, got, ok, want)
		}
	}
	for _, word := range []string{"", "foo", "1.2.3.4.5", "256.1", "10.", ".1", "10..1", "-1", "1_0", "0b1", "fe80::1%lo", ":", "10.0.0.1/24", "09"} {
		if got, ok := parseAddress(word); ok {
			t.Errorf("%q is %v, want none", word, got)
		}
	}
}

func TestParseUint(t *testing.T) {
	for word, want := range map[string]uint64{"0": 0, "5": 5, "0x63": 99, "0XfF": 255, "010": 8, "255": 255} {
		if got, ok := parseUint(word, 255); !ok || got != want {
			t.Errorf("%q: %d, %v; want %d", word, got, ok, want)
		}
	}
	for _, word := range []string{"", "256", "-1", "0x", "x", "1e1", "08", "0b1", "1_0", "99999999999999999999"} {
		if got, ok := parseUint(word, 255); ok {
			t.Errorf("%q is %d, want none", word, got)
		}
	}
}

func TestSplitWords(t *testing.T) {
	for line, want := range map[string]string{
		"":                           "",
		"  a\tb  c\r":                "a|b|c",
		`endpoint 'add it' "10 0" x`: "endpoint|add it|10 0|x",
		`a"b c"d`:                    `a"b|c"d`,
		`''`:                         "",
	} {
		words, err := splitWords(line)
		if got := strings.Join(words, "|"); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	if _, err := splitWords(`a 'b`); err == nil {
		t.Error("an open quote is no error")
	}
}
