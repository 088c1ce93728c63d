package present

import (
	"fmt"
	"io"
	"time"

	"mptcpctl/doctor/bothends"
)

// BothEnds writes what was found on several hosts: as Write does, and how many connections
// each has, how many of them have their other end on another of the hosts, and what is known of
// the clocks.
func (t *DoctorText) BothEnds(w io.Writer, r *bothends.Report) error {
	if err := t.Write(w, &r.Report); err != nil {
		return err
	}
	b := fmt.Appendf(nil, "\nboth ends: %s matched\n", Count(len(r.Matched), "connection"))
	for i := range r.Hosts {
		h := &r.Hosts[i]
		b = append(append(b, "  "...), Escape(h.Name)...)
		b = fmt.Appendf(b, ": %s, %s, %d without the other end; ", h.Verdict, Count(h.Connections, "connection"),
			h.Unmatched)
		switch {
		case h.AheadMS != nil:
			b = fmt.Appendf(b, "clock %+.1f ms, within %.1f ms\n", *h.AheadMS, *h.WithinMS)
		case i == 0:
			b = fmt.Appendf(b, "read at %s\n", h.Time.UTC().Format(time.RFC3339))
		default:
			b = fmt.Appendf(b, "read at %s, clocks not compared\n", h.Time.UTC().Format(time.RFC3339))
		}
	}
	if t.All {
		for _, m := range r.Matched {
			b = fmt.Appendf(b, "  %s on %s and %s on %s, by %s\n", m.Ends[0].Token, Escape(m.Ends[0].Host),
				m.Ends[1].Token, Escape(m.Ends[1].Host), m.By)
		}
	}
	_, err := w.Write(b)
	return err
}

// BothEndsJSON returns the report in its JSON form: lists are never null.
func BothEndsJSON(r *bothends.Report) *bothends.Report {
	out := *r
	out.Report = *DoctorJSON(&r.Report)
	return &out
}
