package live_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/pcapng"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/live"
	"mptcpctl/internal/source/recording"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"
)

// safe is a recording in memory that is read while it is written.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) bytes() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.b.Bytes())
}

// TestRecordAllNamespaces records while a namespace comes, has a connection, and
// goes: the replay names it, has its events and snapshots, and a tracker ends
// without it.
func TestRecordAllNamespaces(t *testing.T) {
	t.Parallel()
	own, other := host(t), host(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// Other tests' namespaces, which come and go by the dozen, are not looked for.
	proc := t.TempDir()
	if err := os.Symlink("/proc/thread-self", filepath.Join(proc, "thread-self")); err != nil {
		t.Fatal(err)
	}
	var file safe
	ended := make(chan error, 1)
	go func() {
		ended <- own.Do(func() error {
			_, err := live.Record(ctx, &file, &live.RecordConfig{
				Every: 200 * time.Millisecond, Events: &pathmanager.ListenConfig{}, All: true,
				Search: hostnet.NamespaceSearch{Proc: proc, Named: []string{t.TempDir()}}, Warn: func(error) {},
			})
			return err
		})
	}()
	replay := func() *recording.Recording {
		r, err := recording.Parse(file.bytes())
		if err != nil {
			return nil
		}
		return r
	}
	sees := func(r *recording.Recording, netns string) bool {
		return r != nil && slices.ContainsFunc(r.Views(), func(v source.View) bool { return v.Netns() == netns })
	}
	name, p := inhabit(t, other)
	pid := strconv.Itoa(p.Pid())
	if err := os.Symlink("/proc/"+pid, filepath.Join(proc, pid)); err != nil {
		t.Fatal(err)
	}
	await.True(t, "a dump of the namespace", func() bool { return sees(replay(), name) })
	conns := pairs(t, other, 1)
	token := tokens(t, conns)[0]
	await.True(t, "a dump with the subflows", func() bool { return dumpedSubflows(t, replay(), name, token) == 2 })
	await.True(t, "the processes that hold it", func() bool { return knowsHolder(t, replay(), name) })
	conns[0].Close()
	await.True(
		t,
		"the end of the connection",
		func() bool { return recordedEvent(replay(), name, mptcp.EventClosed, token) },
	)
	p.Close()
	await.True(t, "the end of the namespace", func() bool { return !sees(replay(), name) })
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the recording does not end")
	}
	checkInterfaces(t, file.bytes(), name)
	r := replay()
	if !recordedEvent(r, name, mptcp.EventSubflowEstablished, token) {
		t.Error("the second subflow is not among the events")
	}
	tracker := track.New(r, &track.Config{Keep: 1 << 16, KeepTime: time.Hour})
	running, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := tracker.Run(running); err != nil || running.Err() != nil {
		t.Fatal(err, running.Err())
	}
	if !slices.ContainsFunc(slices.Collect(tracker.State().Ended()), func(e *track.Ended) bool {
		return e.Key == (mptcp.Key{Netns: name, Token: token}) && e.How == track.HowClosed
	}) {
		t.Error("the tracker does not know how the connection ended")
		for e := range tracker.State().Ended() {
			t.Logf("%v %v at %v", e.Key, e.How, e.At)
		}
	}
	if slices.ContainsFunc(tracker.State().Namespaces(), func(s track.Snapshot) bool { return s.Netns == name }) {
		t.Error("the tracker still has the namespace that went")
	}
}

// dumpedSubflows returns how many subflows the connection has in a dump of the
// namespace, at most.
func dumpedSubflows(t *testing.T, r *recording.Recording, netns string, token mptcp.Token) (most int) {
	t.Helper()
	if r == nil {
		return 0
	}
	for _, view := range r.States() {
		s, err := view.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if view.Netns() != s.Netns {
			t.Fatalf("a snapshot of %q in a view of %q", s.Netns, view.Netns())
		}
		for _, c := range track.Join(s) {
			if c.Netns == netns && c.Token == token {
				most = max(most, len(c.Subflows))
			}
		}
	}
	return most
}

// knowsHolder reports whether the first view of a recording knows, as that of a host
// does, that this process holds sockets of the namespace.
func knowsHolder(t *testing.T, r *recording.Recording, netns string) bool {
	t.Helper()
	for _, view := range r.Views() {
		if view.Netns() != netns {
			continue
		}
		s, err := view.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sockets := owners.NewSockets(0)
		for i := range s.Connections {
			sockets.Add(s.Connections[i].Inode)
		}
		found, err := r.Views()[0].Processes(t.Context(), sockets.Has)
		if err := errors.Join(err, r.Views()[0].Holders(t.Context(), sockets)); err != nil {
			t.Fatal(err)
		}
		for inode, processes := range found {
			if processes[0].PID == os.Getpid() && slices.Equal(processes, sockets.Holders(inode)) {
				return true
			}
		}
	}
	return false
}

func recordedEvent(r *recording.Recording, netns string, typ mptcp.EventType, token mptcp.Token) bool {
	if r == nil {
		return false
	}
	for batch := range r.Events() {
		for i := range batch {
			if e := &batch[i]; e.Netns == netns && e.Type == typ && e.Token == token {
				return true
			}
		}
	}
	return false
}

// checkInterfaces checks that the file's interfaces come in pairs, each pair with the
// name of one namespace.
func checkInterfaces(t *testing.T, data []byte, want string) {
	t.Helper()
	var file pcapng.File
	for _, err := range pcapng.Parse(data, &file) {
		if err != nil {
			t.Fatal(err)
		}
	}
	names := map[string]bool{}
	for i := 0; i+1 < len(file.Interfaces); i += 2 {
		messages, facts := file.Interfaces[i], file.Interfaces[i+1]
		if messages.LinkType != pcapng.LinkTypeNetlink || facts.LinkType != pcapng.LinkTypeUser0 ||
			messages.Name != facts.Name ||
			messages.Name == "" ||
			names[messages.Name] {
			t.Errorf("interfaces %+v, %+v", messages, facts)
		}
		names[messages.Name] = true
	}
	if !names[want] || len(names) < 2 {
		t.Errorf("namespaces %v lack %q", names, want)
	}
}

// TestNamespacesAreFoundWithoutEvents: where there are no events to be read, dumps
// look for the namespaces that came and went.
func TestNamespacesAreFoundWithoutEvents(t *testing.T) {
	t.Parallel()
	own, other := host(t), host(t)
	hosts := dialAll(t, own, t.TempDir(), false)
	known := func(netns string) func() bool {
		return func() bool {
			snapshots, err := hosts.Snapshots(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(snapshots, func(s track.Snapshot) bool { return s.Netns == netns })
		}
	}
	name, p := inhabit(t, other)
	await.True(t, "a namespace that came", known(name))
	p.Close()
	await.True(t, "its end", func() bool { return !known(name)() })
}

// TestNamesOfNamespaces: the name in a directory of names counts before a process,
// and a namespace that is made anew under a name is another one.
func TestNamesOfNamespaces(t *testing.T) {
	labtest.NeedListenerEvents(t)
	own := host(t)
	directory := t.TempDir()
	hosts := dialAll(t, own, directory, true)
	heard := heardFrom(t, hosts)
	path := filepath.Join(directory, "blue")
	for _, wanted := range []mptcp.EventType{mptcp.EventListenerCreated, mptcp.EventSubflowEstablished} {
		ns := host(t)
		_, p := inhabit(t, ns)
		if err := os.Symlink(fmt.Sprintf("/proc/%d/ns/net", p.Pid()), path); err != nil {
			t.Fatal(err)
		}
		await.True(t, "the namespace by its name", sees(hosts, "blue"))
		if wanted == mptcp.EventListenerCreated {
			s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:7000"), nil)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		} else {
			pairs(t, ns, 1)
		}
		await.True(t, "its events", heard("blue", wanted))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		p.Close()
		await.True(t, "its end", func() bool { return !sees(hosts, "blue")() })
	}
}

// fullDisk takes so many bytes, and no more.
type fullDisk struct{ room int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if len(b) > d.room {
		return 0, syscall.ENOSPC
	}
	d.room -= len(b)
	return len(b), nil
}

// A disk that is full ends the recording, and is told of once.
func TestRecordToAFullDisk(t *testing.T) {
	ns := labtest.MPTCP(t)
	err := ns.Do(func() error {
		_, err := live.Record(
			t.Context(),
			&fullDisk{room: 2000},
			&live.RecordConfig{Events: &pathmanager.ListenConfig{}},
		)
		return err
	})
	if !errors.Is(err, syscall.ENOSPC) || strings.Count(err.Error(), "no space left") != 1 {
		t.Errorf("%v, want that the disk is full, once", err)
	}
}

// slowDisk takes its time for each write.
type slowDisk struct{ safe }

func (d *slowDisk) Write(b []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return d.safe.Write(b)
}

// What had come when a recording ends is in it, also where the disk is slow.
func TestRecordingHasWhatCame(t *testing.T) {
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprintf("all %v", all), func(t *testing.T) {
			w := newWorld(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var disk slowDisk
			ended := make(chan error, 1)
			go func() {
				ended <- w.own.Do(func() error {
					_, err := live.Record(ctx, &disk, &live.RecordConfig{Events: &pathmanager.ListenConfig{}, All: all, Search: w.search, Warn: func(error) {}})
					return err
				})
			}()
			await.True(t, "the recording", func() bool { return len(disk.bytes()) > 1000 })
			const connections = 60
			connectMany(t, w.own, connections, func() {})
			stop()
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			r, err := recording.Parse(disk.bytes())
			if err != nil {
				t.Fatal(err)
			}
			created := 0
			for batch := range r.Events() {
				for i := range batch {
					if batch[i].Type == mptcp.EventCreated {
						created++
					}
				}
			}
			if created != 2*connections {
				t.Errorf("%d of %d connections are recorded", created, 2*connections)
			}
		})
	}
}
