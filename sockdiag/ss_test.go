package sockdiag

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab/labtest"
)

// ss runs ss in the namespace and returns its lines, each socket's two joined.
func (w *world) ss(path string, args ...string) []string {
	w.t.Helper()
	var out bytes.Buffer
	cmd := w.ns.Command(w.t.Context(), path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := w.ns.Start(cmd); err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		w.t.Fatalf("ss: %v\n%s", err, out.String())
	}
	text := strings.ReplaceAll(out.String(), "\n\t", " ")
	lines := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(lines)
	return lines
}

// field returns what stands behind a key in a line of ss: "key:value".
func field(line, key string) string {
	m := regexp.MustCompile(`(?:^|\s)` + key + `:(\S+)`).FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return m[1]
}

// optional is how ss shows a number: not at all where it is 0.
func optional(v uint64) string {
	if v == 0 {
		return ""
	}
	return fmt.Sprint(v)
}

// What we say of each socket is what ss says.
func TestAgreesWithSS(t *testing.T) {
	path, err := exec.LookPath("ss")
	if err != nil {
		labtest.Skip(t, "ss (iproute2) is not installed: %v", err)
	}
	w := newWorld(t, nil)
	w.addEndpoint("127.0.0.2", 7)
	four := w.listen("tcp4", "127.0.0.1:0", true)
	six := w.listen("tcp6", "[::1]:0", true)
	a, _ := w.pair(four, "tcp4", four.Addr().String(), true)
	w.pair(six, "tcp6", six.Addr().String(), true)
	w.waitSubflows(w.connection(a.LocalAddr()).Info.Token, 2)

	// Segments may be under way between the two readings: they agree at last.
	await.Success(t, func() error { return errors.Join(w.compareConnections(path), w.compareSubflows(path)) })
}

func (w *world) compareConnections(path string) error {
	lines := w.ss(path, "-HinMe")
	connections := collect(w.t, w.client.Connections(w.t.Context(), nil))
	if len(connections) != 4 || len(lines) != len(connections) {
		return fmt.Errorf("%d connections, ss shows %d", len(connections), len(lines))
	}
	var errs []error
	for _, c := range connections {
		errs = append(errs, compareLine(lines, &c.Socket, map[string]string{
			"token": fmt.Sprintf(
				"%x",
				uint32(c.Info.Token),
			), "ino": fmt.Sprint(c.Inode), "sk": fmt.Sprintf("%x", c.Cookie),
			"subflows": optional(uint64(c.Info.Subflows)), "subflows_max": optional(uint64(c.Info.SubflowsMax)),
			"write_seq": fmt.Sprintf("%x", c.Info.WriteSeq), "snd_una": fmt.Sprintf("%x", c.Info.SndUna),
			"rcv_nxt": fmt.Sprintf("%x", c.Info.RcvNxt),
		}))
	}
	return errors.Join(errs...)
}

func (w *world) compareSubflows(path string) error {
	lines := w.ss(path, "-Hinte")
	subflows := collect(w.t, w.client.Subflows(w.t.Context(), nil))
	if len(subflows) != 6 || len(lines) != len(subflows) {
		return fmt.Errorf("%d subflows, ss shows %d", len(subflows), len(lines))
	}
	var errs []error
	for _, s := range subflows {
		m, info := &s.MPTCP, &s.TCP
		errs = append(errs, compareLine(lines, &s.Socket, map[string]string{
			"flags": m.Flags.String(), "ino": fmt.Sprint(s.Inode), "sk": fmt.Sprintf("%x", s.Cookie),
			"token": fmt.Sprintf(
				"%04x(id:%d)/%04x(id:%d)",
				uint32(m.TokenRemote),
				m.RemoteID,
				uint32(m.TokenLocal),
				m.LocalID,
			),
			"seq": fmt.Sprintf("%x", m.MapSeq), "sfseq": fmt.Sprintf("%x", m.MapSubflowSeq),
			"ssnoff": fmt.Sprintf("%x", m.SSNOffset), "maplen": fmt.Sprintf("%x", m.MapDataLen),
			"cwnd": fmt.Sprint(info.Cwnd), "mss": fmt.Sprint(info.SndMSS), "pmtu": fmt.Sprint(info.PMTU),
			"rcvmss": fmt.Sprint(info.RcvMSS), "advmss": fmt.Sprint(info.AdvMSS),
			"rtt":        fmt.Sprintf("%g/%g", float64(info.RTTMicros)/1000, float64(info.RTTVarMicros)/1000),
			"bytes_sent": optional(info.BytesSent), "bytes_acked": optional(info.BytesAcked),
			"bytes_received": optional(info.BytesReceived),
			"segs_out":       optional(uint64(info.SegsOut)), "segs_in": optional(uint64(info.SegsIn)),
		}))
	}
	return errors.Join(errs...)
}

// compareLine compares a socket with the line that ss has for its addresses.
func compareLine(lines []string, s *Socket, got map[string]string) error {
	var errs []error
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) < 5 || f[3] != s.Local.String() || f[4] != s.Remote.String() {
			continue
		}
		if f[0] != "ESTAB" || f[1] != fmt.Sprint(s.RecvQueue) || f[2] != fmt.Sprint(s.SendQueue) {
			errs = append(errs, fmt.Errorf("%+v, ss: %s", s, line))
		}
		for key, value := range got {
			if want := field(line, key); value != want {
				errs = append(errs, fmt.Errorf("%s of %v is %q, ss says %q in %s", key, s, value, want, line))
			}
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("ss does not show %v among\n%s", s, strings.Join(lines, "\n"))
}
