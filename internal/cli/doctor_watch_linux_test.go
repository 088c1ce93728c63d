package cli

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
)

// TestDoctorWatchRemembers: what an event proved stays until its endpoint has gone, and is
// told once, however many looks there are in between. It must not turn into what the
// facts of one moment would say.
func TestDoctorWatchRemembers(t *testing.T) {
	t.Parallel()
	scenarios := []string{"limit-of-peer", "join-reset"}
	if labtest.Long() {
		scenarios = append(scenarios, "announced-unheard-by-client", "join-stripped", "join-prohibited", "join-dropped")
	}
	for _, name := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			labtest.Namespace(t)
			s := findScenario(t, name)
			ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
			t.Cleanup(cancel)
			var p *lab.Process
			trial, err := procedure.StartWatched(ctx, s, []string{toolPath(t)}, func(l *lab.Lab) (err error) {
				if p, err = l.Host(s.Host).StartProcess(ctx, tool("doctor", "--watch", "300ms")); err != nil {
					return err
				}
				_, err = p.WaitLine(ctx, func(lab.Line) bool { return true }) // of the first look
				return err
			})
			labtest.SkipMissing(t, err)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { trial.Close() })
			rule := string(s.Rule)
			told := func(sign, rule string) func(lab.Line) bool {
				return func(l lab.Line) bool {
					return strings.Contains(l.Text, sign+": ") && strings.Contains(l.Text, " "+rule+" ")
				}
			}
			wait := func(sign, rule string) {
				t.Helper()
				if _, err := p.WaitLine(ctx, told(sign, rule)); err != nil {
					out, errs := texts(p.Lines())
					t.Fatalf("%s %s: %v\n%s%s", sign, rule, err, out, errs)
				}
			}
			wait("found", rule)
			host := trial.Host()
			for range 3 { // each change shows that it has looked again
				for _, step := range []struct{ sign, verb string }{{"found", "add 10.9.9.9 id 99 subflow"}, {"gone", "delete id 99"}} {
					if _, errs, code := runIn(t, host, append([]string{"endpoint"}, strings.Fields(step.verb)...)...); code != 0 {
						t.Fatal(errs)
					}
					wait(step.sign, "D21")
				}
			}
			want := 1
			if name != "announced-unheard-by-client" { // of an address of the peer's
				if _, errs, code := runIn(t, host, "endpoint", "flush"); code != 0 {
					t.Fatal(errs)
				}
				wait("gone", rule)
				want++
			}
			if code := ended(t, p, syscall.SIGINT); code > 2 {
				t.Errorf("exit %d", code)
			}
			out, _ := texts(p.Lines())
			for _, line := range strings.Split(out, "\n") {
				l := lab.Line{Text: line}
				if (told("found", "D42")(l) || told("gone", "D42")(l)) && rule != "D42" {
					t.Errorf("the cause turned into %q", line)
				}
			}
			if n := strings.Count(out, " "+rule+" "); n != want {
				t.Errorf("%s is told %d times, want %d:\n%s", rule, n, want, out)
			}
		})
	}
}
