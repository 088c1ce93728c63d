package procedure

import (
	"strings"
	"testing"
)

// Lines of the procedure, as a monitor prints them.
const (
	lineCreated = "[         CREATED] token=63c070d2 remid=0 locid=0 saddr4=192.0.2.2 daddr4=192.0.2.1 " +
		"sport=36444 dport=12345"
	lineEstablished = "[     ESTABLISHED] token=63c070d2 remid=0 locid=0 saddr4=192.0.2.2 daddr4=192.0.2.1 " +
		"sport=36444 dport=12345"
	lineJoined = "[  SF_ESTABLISHED] token=63c070d2 remid=0 locid=2 saddr4=192.0.2.3 daddr4=192.0.2.1 sport=53345 " +
		"dport=12345 backup=0 ifindex=3 dev=wlp1s0"
	lineLeft = "[       SF_CLOSED] token=63c070d2 remid=0 locid=2 saddr4=192.0.2.3 daddr4=192.0.2.1 sport=53345 " +
		"dport=12345 backup=0 ifindex=3"
	lineClosed = "[          CLOSED] token=63c070d2"
)

// feed gives the checker the line of each event.
func feed(t *testing.T, lines map[promiseID]string) *checker {
	t.Helper()
	c := newChecker()
	c.ifindex = 3
	if !c.endpoint([]string{"192.0.2.30 id 1 subflow ", "192.0.2.3 id 2 subflow dev wlp1s0 "}) {
		t.Fatal("endpoint not found")
	}
	for _, id := range []promiseID{promiseCreated, promiseEstablished, promiseJoined, promiseLeft, promiseClosed} {
		e, ok := parseMonitorLine(lines[id])
		if ok && c.wanted(id, e) {
			c.event(id, e)
		}
	}
	return c
}

func procedureLines() map[promiseID]string {
	return map[promiseID]string{
		promiseCreated: lineCreated, promiseEstablished: lineEstablished, promiseJoined: lineJoined,
		promiseLeft: lineLeft, promiseClosed: lineClosed,
	}
}

func TestCheckerKeepsGoodEvents(t *testing.T) {
	c := feed(t, procedureLines())
	for id := range procedureLines() {
		if !c.promises[id].Kept {
			t.Errorf("%s: %s", c.promises[id].Text, c.promises[id].Seen)
		}
	}
	if c.token != "63c070d2" {
		t.Errorf("token %s", c.token)
	}
}

// TestCheckerSeesEachFault changes one thing in one line at a time.
func TestCheckerSeesEachFault(t *testing.T) {
	for _, tt := range []struct {
		id       promiseID
		old, new string
	}{
		{promiseCreated, "saddr4=192.0.2.2", "saddr4=192.0.2.3"},
		{promiseCreated, "daddr4=192.0.2.1", "daddr4=192.0.2.10"},
		{promiseCreated, "dport=12345", "dport=1234"},
		{promiseCreated, "locid=0", "locid=1"},
		{promiseCreated, "63c070d2", "3c070d2"},
		{promiseCreated, "63c070d2", "00000000"},
		{promiseCreated, " dport=12345", ""},
		{promiseCreated, "CREATED", "LISTENER_CREATED"},
		{promiseEstablished, "token=63c070d2", "token=63c070d3"},
		{promiseEstablished, "sport=36444", "sport=36445"},
		{promiseEstablished, "remid=0", "remid=1"},
		{promiseJoined, "locid=2", "locid=1"},
		{promiseJoined, "ifindex=3", "ifindex=2"},
		{promiseJoined, " ifindex=3", ""},
		{promiseJoined, "backup=0", "backup=1"},
		{promiseJoined, "saddr4=192.0.2.3", "saddr4=192.0.2.2"},
		{promiseJoined, "SF_ESTABLISHED", "ESTABLISHED"},
		{promiseLeft, "locid=2", "locid=3"},
		{promiseLeft, "sport=53345", "sport=53346"},
		{promiseLeft, "[", ""},
		{promiseClosed, "token=63c070d2", "token=63c070d3"},
		{promiseClosed, "]", ""},
	} {
		lines := procedureLines()
		changed := strings.Replace(lines[tt.id], tt.old, tt.new, 1)
		if changed == lines[tt.id] {
			t.Fatalf("%q is not in %q", tt.old, lines[tt.id])
		}
		lines[tt.id] = changed
		if c := feed(t, lines); c.promises[tt.id].Kept {
			t.Errorf("kept with %q", changed)
		}
	}
}

func TestCheckerReadsTables(t *testing.T) {
	one := []string{"63c070d2  client  established", "  192.0.2.2:36444  192.0.2.1:12345  id 0/0  enp1s0"}
	two := append(append([]string(nil), one...), "  192.0.2.3%wlp1s0:53345  192.0.2.1:12345  id 2/0")
	paths := []string{"192.0.2.2 enp1s0 metric 100", "192.0.2.3 wlp1s0 metric 600"}
	for _, tt := range []struct {
		name  string
		id    promiseID
		check func(*checker, []string)
		lines []string
		kept  bool
	}{
		{"one", promiseOne, (*checker).oneSubflow, one, true},
		{"two for one", promiseOne, (*checker).oneSubflow, two, false},
		{"no first", promiseOne, (*checker).oneSubflow, one[:1], false},
		{"no token", promiseOne, (*checker).oneSubflow, one[1:], false},
		{"nothing for one", promiseOne, (*checker).oneSubflow, nil, false},
		{"two", promiseTwo, (*checker).twoSubflows, two, true},
		{"one for two", promiseTwo, (*checker).twoSubflows, one, false},
		{"second alone", promiseTwo, (*checker).twoSubflows, []string{two[0], two[2]}, false},
		{"no device", promiseTwo, (*checker).twoSubflows, append(one[:2:2], "  192.0.2.3:53345"), false},
		{"other token", promiseTwo, (*checker).twoSubflows, two[1:], false},
		{"paths", promisePaths, (*checker).paths, paths, true},
		{"paths turned", promisePaths, (*checker).paths, []string{paths[1], paths[0]}, false},
		{"one path", promisePaths, (*checker).paths, paths[:1], false},
		{"no path", promisePaths, (*checker).paths, nil, false},
		{"longer address", promisePaths, (*checker).paths, []string{"192.0.2.20 enp1s0", paths[1]}, false},
	} {
		c := newChecker()
		c.token = "63c070d2"
		tt.check(c, tt.lines)
		if p := c.promises[tt.id]; p.Kept != tt.kept || p.Seen == "" {
			t.Errorf("%s: kept %v, want %v; seen %q", tt.name, p.Kept, tt.kept, p.Seen)
		}
	}
}

func TestCheckerLimits(t *testing.T) {
	for text, want := range map[string]bool{
		"add_addr_accepted 0 subflows 1 ": true,
		"add_addr_accepted 0 subflows 2 ": false,
		"":                                false,
	} {
		if got := newChecker().limits([]string{text}); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestReportWithoutPromisesIsNotOK(t *testing.T) {
	if (Report{}).OK() {
		t.Error("an empty report is OK")
	}
	if (Report{Promises: []Promise{{Kept: true}, {}}}).OK() {
		t.Error("a report with a broken promise is OK")
	}
}

func FuzzParseMonitorLine(f *testing.F) {
	for _, line := range procedureLines() {
		f.Add(line)
	}
	f.Add("[")
	f.Add("[]=")
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseMonitorLine(line)
		if ok != (strings.HasPrefix(line, "[") && strings.Contains(line, "]")) {
			t.Errorf("%q: %v", line, ok)
		}
		for key := range e.fields {
			if !strings.Contains(line, key) {
				t.Errorf("%q has no field %q", line, key)
			}
		}
	})
}
