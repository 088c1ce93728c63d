package live_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/source/live"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"golang.org/x/sys/unix"
)

// manyNamespaces is more than doctor listens in at once.
const manyNamespaces = 100

// crowd is a world of so many namespaces, each with an endpoint.
func crowd(t *testing.T, n int) *world {
	t.Helper()
	w, _ := crowded(t, n)
	return w
}

// crowded returns a crowd with its namespaces.
func crowded(t *testing.T, n int) (w *world, all []*lab.Namespace) {
	t.Helper()
	w = newWorld(t)
	for i := range n {
		ns, err := lab.NewNamespace()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ns.Close() })
		err = ns.Do(func() error {
			pm, err := pathmanager.Dial(nil)
			if err != nil {
				return err
			}
			defer pm.Close()
			return pm.AddEndpoint(
				t.Context(),
				mptcp.Endpoint{Address: netip.MustParseAddr("192.0.2.1"), Flags: mptcp.FlagSubflow},
			)
		})
		if err = errors.Join(err, w.name(ns.Path(), fmt.Sprint("crowd-", i))); err != nil {
			t.Fatal(err)
		}
		all = append(all, ns)
	}
	return w, all
}

// threads counts the threads of this process.
func threads() int {
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return 0
	}
	return len(entries)
}

// TestFactsOfManyNamespaces: however many there are, few threads are at work, the window
// passes once, and nobody looks into the others beside.
func TestFactsOfManyNamespaces(t *testing.T) {
	hosts := crowd(t, manyNamespaces).dial(t, nil)
	views := hosts.Views()
	if len(views) != manyNamespaces+1 {
		t.Fatalf("%d namespaces", len(views))
	}
	before := threads()
	var most atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			most.Store(max(most.Load(), int64(threads())))
			time.Sleep(time.Millisecond) // only how often it is counted
		}
	}()
	facts, err := gather.All(t.Context(), views, &gather.Config{Window: gather.DefaultWindow})
	if err != nil {
		t.Fatal(err)
	}
	if extra := int(most.Load()) - before; extra > 40 {
		t.Errorf("%d more threads for %d namespaces", extra, len(views))
	}
	for i := range facts {
		if facts[i].Netns != views[i].Netns() || facts[i].MPTCP.Window < gather.DefaultWindow {
			t.Fatalf("%s: %s with a window of %v", views[i].Netns(), facts[i].Netns, facts[i].MPTCP.Window)
		}
	}
}

// TestListenersOfManyNamespacesShareAThread: those of namespaces without a number have a
// socket each, which holds no thread while it waits, and hears all the same.
func TestListenersOfManyNamespacesShareAThread(t *testing.T) {
	labtest.NeedListenerEvents(t)
	w, all := crowded(t, manyNamespaces)
	hosts := w.dial(t, &pathmanager.ListenConfig{})
	before := threads()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	heard := map[string]bool{}
	told := make(chan error, 1)
	go func() { told <- eventInEach(all) }()
	for batch, err := range hosts.Batches(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch {
			heard[batch[i].Netns] = true
		}
		if len(heard) == manyNamespaces && ctx.Err() == nil {
			time.Sleep(50 * time.Millisecond) // they wait again: each on its thread, if it had one
			if extra := threads() - before; extra > 20 {
				t.Errorf("%d more threads for %d namespaces", extra, manyNamespaces)
			}
			cancel()
		}
	}
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	if len(heard) < manyNamespaces {
		t.Errorf("events of %d namespaces, want %d", len(heard), manyNamespaces)
	}
}

// eventInEach opens and closes a listener in each of the namespaces.
func eventInEach(all []*lab.Namespace) error {
	for _, ns := range all {
		err := ns.Do(func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, uapi.IPPROTO_MPTCP)
			if err != nil {
				return err
			}
			return errors.Join(unix.Listen(fd, 1), unix.Close(fd))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// TestFactsOfManyEndWithTheContext: it takes no second, wherever they are.
func TestFactsOfManyEndWithTheContext(t *testing.T) {
	hosts := crowd(t, manyNamespaces).dial(t, nil)
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 200 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := gather.All(ctx, hosts.Views(), &gather.Config{Window: time.Hour})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", after, err)
		}
	}
}

// TestOthersAreToldAlike: what a namespace learns of the others when all are gathered is
// what it finds when it looks into them itself.
func TestOthersAreToldAlike(t *testing.T) {
	w := crowd(t, 3)
	hosts := w.dial(t, nil)
	together, err := gather.All(t.Context(), hosts.Views(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, view := range hosts.Views() {
		if !together[i].ElsewhereWanted() {
			if len(together[i].Elsewhere) > 0 {
				t.Errorf("%s is told of others, which it did not want to know", view.Netns())
			}
			continue
		}
		told := 0
		for _, n := range together[i].Elsewhere {
			if n.Endpoints != 1 || n.Makers != 1 || n.Connections != 0 || !strings.HasPrefix(n.Name, "crowd-") ||
				n.Name == view.Netns() {
				t.Errorf("%s is told of %+v", view.Netns(), n)
			}
			told++
		}
		want := 2
		if i == 0 { // the world's own namespace, which has no endpoint
			want = 3
		}
		if told != want {
			t.Errorf("%s is told of %d others, want %d", view.Netns(), told, want)
		}
	}
}

// TestTooManyNamespacesForTheDescriptors says so before it hurts.
func TestTooManyNamespacesForTheDescriptors(t *testing.T) {
	w := crowd(t, 60)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = 500
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		labtest.Skip(t, "the limit of open files cannot be changed: %v", err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	var warned []string
	var hosts *live.Hosts
	err := w.own.Do(func() (err error) {
		hosts, err = live.DialAll(
			t.Context(),
			&live.HostsConfig{Search: w.search, Warn: func(err error) { warned = append(warned, err.Error()) }},
		)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer hosts.Close()
	if n := len(hosts.Views()); n < 2 || n > 500/12 {
		t.Errorf("%d namespaces are open", n)
	}
	if text := strings.Join(warned, "\n"); !strings.Contains(text, "network namespaces are left out: each takes") {
		t.Errorf("warnings: %s", text)
	}
	if _, err := hosts.Snapshots(t.Context()); err != nil {
		t.Errorf("those that are open: %v", err)
	}
}
