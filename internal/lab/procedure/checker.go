package procedure

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// procedurePort is the port of the procedure's server.
const procedurePort = "12345"

// Report says what Red Hat's procedure promises and what was seen.
type Report struct {
	Token    string // of the connection, 8 hex digits; "" if there was none
	Promises []Promise
	Took     time.Duration
}

// Promise is one thing that the procedure says will be seen.
type Promise struct {
	Text string // what is promised
	Kept bool
	Seen string // what was seen, or why nothing was; "" if it was not reached
}

// OK reports whether every promise was kept.
func (r Report) OK() bool {
	return len(r.Promises) > 0 && !slices.ContainsFunc(r.Promises, func(p Promise) bool { return !p.Kept })
}

// promiseID is the place of a promise in the report.
type promiseID int

const (
	promiseLimits promiseID = iota
	promiseListener
	promisePaths
	promiseCreated
	promiseEstablished
	promiseData
	promiseOne
	promiseJoined
	promiseTwo
	promiseLeft
	promiseClosed
	promiseCount
)

// checker compares what is seen with what the procedure promises.
type checker struct {
	promises   []Promise
	ifindex    int    // of wlp1s0
	token      string // of the connection, from CREATED on
	sport      string // of the initial subflow
	endpointID string // of the endpoint 192.0.2.3
	joinSport  string // of the additional subflow
}

func newChecker() *checker {
	c := &checker{promises: make([]Promise, promiseCount)}
	for id, text := range map[promiseID]string{
		promiseLimits:      "limits: no announced address, one additional subflow",
		promiseListener:    "a server that keeps listening on port " + procedurePort,
		promisePaths:       "the initial subflow takes enp1s0, 192.0.2.2; wlp1s0, 192.0.2.3 could carry another",
		promiseCreated:     "CREATED 192.0.2.2 to 192.0.2.1:" + procedurePort,
		promiseEstablished: "ESTABLISHED, same token, once data is sent",
		promiseData:        "the line arrives at the server",
		promiseOne:         "the connection has one subflow, from 192.0.2.2",
		promiseJoined:      "SF_ESTABLISHED from 192.0.2.3, locid of the endpoint, ifindex of wlp1s0",
		promiseTwo:         "the connection has two subflows, the second from 192.0.2.3 on wlp1s0",
		promiseLeft:        "SF_CLOSED of that subflow once the endpoint is deleted",
		promiseClosed:      "CLOSED, same token",
	} {
		c.promises[id].Text = text
	}
	return c
}

func (c *checker) keep(id promiseID, seen string) {
	c.promises[id].Kept, c.promises[id].Seen = true, seen
}

// judge notes what was seen, and whether that is what was promised.
func (c *checker) judge(id promiseID, kept bool, seen string) bool {
	c.promises[id].Kept, c.promises[id].Seen = kept, seen
	return kept
}

// limits checks the output of `limits show`.
func (c *checker) limits(lines []string) bool {
	return strings.Join(strings.Fields(strings.Join(lines, " ")), " ") == "add_addr_accepted 0 subflows 1"
}

// paths checks the output of `paths to 192.0.2.1`: both addresses with their
// devices, that of the initial subflow first.
func (c *checker) paths(lines []string) {
	first, second := lineWith(lines, "192.0.2.2", "enp1s0"), lineWith(lines, "192.0.2.3", "wlp1s0")
	switch {
	case first < 0:
		c.judge(promisePaths, false, "192.0.2.2 on enp1s0 is not named")
	case second < 0:
		c.judge(promisePaths, false, "192.0.2.3 on wlp1s0 is not named")
	case second < first:
		c.judge(promisePaths, false, "192.0.2.3 comes first: "+lines[second])
	default:
		c.keep(promisePaths, strings.TrimSpace(lines[first]))
	}
}

// lineWith returns the first line with all these words in it, or -1.
func lineWith(lines []string, words ...string) int {
	return slices.IndexFunc(lines, func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !hasWord(line, w) })
	})
}

// hasWord reports whether the text has the word, not as a part of a longer number
// or name: 192.0.2.2 is not in 192.0.2.20.
func hasWord(text, word string) bool {
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		from, to := at+i, at+i+len(word)
		if (from == 0 || !wordByte(text[from-1])) && (to == len(text) || !wordByte(text[to])) {
			return true
		}
		at = from + 1
	}
}

func wordByte(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b == '.' || b == '_'
}

// endpoint finds the id of the endpoint in the output of `endpoint show`, whose
// lines have the form "192.0.2.3 id 1 subflow dev wlp1s0 ".
func (c *checker) endpoint(lines []string) bool {
	for _, line := range lines {
		f := strings.Fields(line)
		id := slices.Index(f, "id")
		if len(f) > 0 && f[0] == "192.0.2.3" && id >= 0 && id+1 < len(f) {
			c.endpointID = f[id+1]
			return true
		}
	}
	return false
}

// oneSubflow checks the output of `connection show`.
func (c *checker) oneSubflow(lines []string) {
	text := strings.Join(lines, "\n")
	switch {
	case !hasWord(text, c.token):
		c.judge(promiseOne, false, "token "+c.token+" is not shown")
	case !hasWord(text, "192.0.2.2"):
		c.judge(promiseOne, false, "192.0.2.2 is not shown")
	case hasWord(text, "192.0.2.3"):
		c.judge(promiseOne, false, "192.0.2.3 has a subflow already")
	default:
		c.keep(promiseOne, "token "+c.token+", 192.0.2.2")
	}
}

// twoSubflows checks the output of `connection show`.
func (c *checker) twoSubflows(lines []string) {
	text := strings.Join(lines, "\n")
	switch {
	case !hasWord(text, c.token):
		c.judge(promiseTwo, false, "token "+c.token+" is not shown")
	case !hasWord(text, "192.0.2.2"):
		c.judge(promiseTwo, false, "192.0.2.2 is not shown")
	case lineWith(lines, "192.0.2.3", "wlp1s0") < 0:
		c.judge(promiseTwo, false, "no subflow from 192.0.2.3 on wlp1s0")
	default:
		c.keep(promiseTwo, "192.0.2.2, and 192.0.2.3 on wlp1s0")
	}
}

// monitorEvent is a line of the monitor.
type monitorEvent struct {
	name   string
	fields map[string]string
	text   string // as it was printed
}

// parseMonitorLine reads a line such as
//
//	[       CREATED] token=63c070d2 remid=0 locid=0 saddr4=192.0.2.2 …
func parseMonitorLine(line string) (monitorEvent, bool) {
	rest, found := strings.CutPrefix(line, "[")
	name, rest, closed := strings.Cut(rest, "]")
	if !found || !closed {
		return monitorEvent{}, false
	}
	e := monitorEvent{name: strings.TrimSpace(name), fields: map[string]string{}, text: line}
	for field := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(field, "=")
		e.fields[key] = value
	}
	return e, true
}

// eventName returns the name of the promised event.
func eventName(id promiseID) string {
	switch id {
	case promiseCreated:
		return "CREATED"
	case promiseEstablished:
		return "ESTABLISHED"
	case promiseJoined:
		return "SF_ESTABLISHED"
	case promiseLeft:
		return "SF_CLOSED"
	case promiseClosed:
		return "CLOSED"
	}
	return ""
}

// wanted reports whether the event is of the promised kind and of our connection,
// whatever its addresses and ids.
func (c *checker) wanted(id promiseID, e monitorEvent) bool {
	return e.name == eventName(id) && (id == promiseCreated || e.fields["token"] == c.token)
}

// event checks the fields of an event that is wanted.
func (c *checker) event(id promiseID, e monitorEvent) bool {
	want := map[string]string{"daddr4": "192.0.2.1", "dport": procedurePort, "remid": "0"}
	switch id {
	case promiseCreated:
		want["saddr4"], want["locid"] = "192.0.2.2", "0"
		c.token, c.sport = e.fields["token"], e.fields["sport"]
		if n, err := strconv.ParseUint(c.token, 16, 32); err != nil || len(c.token) != 8 || n == 0 {
			return c.judge(id, false, fmt.Sprintf("token %q: %s", c.token, e.text))
		}
	case promiseEstablished:
		want["saddr4"], want["locid"], want["sport"] = "192.0.2.2", "0", c.sport
	case promiseJoined, promiseLeft:
		want["saddr4"], want["locid"], want["backup"] = "192.0.2.3", c.endpointID, "0"
		want["ifindex"] = strconv.Itoa(c.ifindex)
		if id == promiseJoined {
			c.joinSport = e.fields["sport"]
		}
		want["sport"] = c.joinSport
	case promiseClosed:
		want = nil
	}
	var wrong []string
	for key, value := range want {
		if got, ok := e.fields[key]; !ok || got != value {
			wrong = append(wrong, fmt.Sprintf("%s=%s, want %s", key, got, value))
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return c.judge(id, false, strings.Join(wrong, "; ")+": "+e.text)
	}
	return c.judge(id, true, e.text)
}
