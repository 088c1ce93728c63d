package present

import "time"

// clock formats times fast by keeping the text of the last second: events come in
// bursts.
type clock struct {
	utcSecond, localSecond int64
	utc, local             []byte
}

const secondLayout = "2006-01-02T15:04:05"

// appendUTC appends t in RFC 3339, UTC, with nanoseconds.
func (c *clock) appendUTC(b []byte, t time.Time) []byte {
	if second := t.Unix(); second != c.utcSecond || c.utc == nil {
		c.utc = t.UTC().AppendFormat(c.utc[:0], secondLayout)
		c.utcSecond = second
	}
	b = append(b, c.utc...)
	b = appendFraction(b, t.Nanosecond(), 9)
	return append(b, 'Z')
}

// appendLocal appends t in local time with microseconds, as `ip -ts` does.
func (c *clock) appendLocal(b []byte, t time.Time) []byte {
	if second := t.Unix(); second != c.localSecond || c.local == nil {
		c.local = t.Local().AppendFormat(c.local[:0], secondLayout)
		c.localSecond = second
	}
	b = append(b, c.local...)
	return appendFraction(b, t.Nanosecond()/1000, 6)
}

// appendFraction appends a point and n with the given number of digits.
func appendFraction(b []byte, n, digits int) []byte {
	b = append(b, '.')
	start := len(b)
	for range digits {
		b = append(b, '0')
	}
	for i := len(b) - 1; i >= start; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
