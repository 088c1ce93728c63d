package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
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
		"endpoint add 10.0.0.1 laminar": "mptcpctl: warning: this kernel does not support the flag " +
			"laminar and dropped it: the endpoint is 10.0.0.1 id 1 \n",
		"endpoint add 10.0.0.1 subflow fullmesh backup": "mptcpctl: warning: this kernel does not support the flag " +
			"fullmesh and dropped it: the endpoint is 10.0.0.1 id 1 subflow backup\n",
		"endpoint add 10.0.0.1 subflow id 5": "",
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
		{&pathmanager.Error{Op: "endpoint add", Object: "10.0.0.1", Err: fs.ErrPermission}, "mptcpctl: endpoint add " +
			"10.0.0.1: permission denied (this needs CAP_NET_ADMIN", 2},
		{mptcp.ErrNotSupported, "mptcpctl: endpoint add: not supported by this kernel (MPTCP needs Linux 5.6", 2},
		{context.Canceled, "", exit.Interrupted},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, "mptcpctl: endpoint add: open x: permission " +
			"denied\n", 2},
		{fmt.Errorf("x: needs CAP_NET_ADMIN%w", quiet{fs.ErrPermission}), "mptcpctl: endpoint add: x: needs " +
			"CAP_NET_ADMIN\n", 2},
		{&enterError{"x", compat.CError(syscall.EPERM)}, "mptcpctl: endpoint add: setting the network namespace " +
			"\"x\" failed: Operation not permitted (entering a network namespace needs CAP_SYS_ADMIN", 2},
		{errors.New("odd"), "mptcpctl: endpoint add: odd\n", 2},
	} {
		got := runFake(&fakePathManager{refuse: c.refuse}, "endpoint add 10.0.0.1")
		if !strings.HasPrefix(got.stderr, c.want) || (c.want == "") != (got.stderr == "") || got.code != c.code {
			t.Errorf("%v: %v, want %q and exit %d", c.refuse, got, c.want, c.code)
		}
	}
}
