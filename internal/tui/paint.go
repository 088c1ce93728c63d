package tui

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"mptcpctl/mptcp"
)

// style is what a piece of text is to the reader.
type style uint8

const (
	plainText style = iota
	dim
	bold
	good
	warn
	bad
	bar      // the bars at the top and at the bottom
	selected // the row under the cursor
	path1    // the first of the colours that tell paths apart
)

// paths is how many colours tell paths apart.
const paths = 5

// codes are the SGR parameters of the styles.
var codes = [...]string{"", "2", "1", "32", "33", "1;31", "7", "7", "36", "35", "34", "93", "95"}

// look is how text is drawn.
type look struct {
	color bool
	ascii bool
	lines bool // plain lines for a screen reader: no bars, no pictures
	zone  *time.Location
}

// paint returns the text in the style.
func (l *look) paint(s style, text string) string {
	if !l.color || s == plainText || text == "" {
		return text
	}
	return "\x1b[" + codes[s] + "m" + text + "\x1b[0m"
}

// sign returns the first text, or the second one where the terminal has but
// ASCII.
func (l *look) sign(unicode, ascii string) string {
	if l.ascii {
		return ascii
	}
	return unicode
}

// bar draws a share of the whole, 0 to 1, in so many columns.
func (l *look) bar(share float64, width int, s style) string {
	if l.lines {
		return ""
	}
	eighths := int(min(max(share, 0), 1)*float64(width)*8 + 0.5)
	full, rest := eighths/8, eighths%8
	if l.ascii {
		full, rest = (eighths+4)/8, 0
	}
	drawn := strings.Repeat(l.sign("█", "#"), full)
	if rest > 0 {
		drawn += string([]rune("▏▎▍▌▋▊▉")[rest-1])
		full++
	}
	return l.paint(s, drawn) + l.paint(dim, strings.Repeat(l.sign("░", "."), width-full))
}

// spark draws the last values, the newest on the right, each a column high up to
// the greatest.
func (l *look) spark(values []float64, width int, s style) string {
	if l.lines {
		return ""
	}
	steps := []rune(l.sign("▁▂▃▄▅▆▇█", "_.-=+*%#"))
	values = values[max(0, len(values)-width):]
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	drawn := make([]rune, 0, width)
	for _, v := range values {
		i := 0
		if top > 0 && v > 0 {
			i = min(len(steps)-1, 1+int(v/top*float64(len(steps)-2)+0.5))
		}
		drawn = append(drawn, steps[i])
	}
	return strings.Repeat(" ", width-len(drawn)) + l.paint(s, string(drawn))
}

// clock returns the time of day.
func (l *look) clock(t time.Time) string { return t.In(l.zone).Format("15:04:05") }

// fine returns the time of day with milliseconds.
func (l *look) fine(t time.Time) string { return t.In(l.zone).Format("15:04:05.000") }

// stateStyle returns the style of a subflow's state.
func stateStyle(s mptcp.SubflowState) style {
	switch s {
	case mptcp.SubflowEstablished:
		return good
	case mptcp.SubflowPending, mptcp.SubflowStale:
		return warn
	case mptcp.SubflowSilent:
		return bad
	}
	return dim
}

// clip cuts a line to the width; the width 0 is no limit.
func (l *look) clip(line string, width int) string {
	if width <= 0 {
		return line
	}
	return ansi.Truncate(line, width, l.sign("…", ">"))
}

// left fills the text with blanks, or cuts it, to the width.
func (l *look) left(text string, width int) string {
	text = l.clip(text, width)
	return text + strings.Repeat(" ", max(0, width-ansi.StringWidth(text)))
}

// right is as left, with the blanks in front.
func right(text string, width int) string {
	return strings.Repeat(" ", max(0, width-ansi.StringWidth(text))) + text
}

// spread puts one text at the left and one at the right of a line.
func spread(left, right string, width int) string {
	gap := width - ansi.StringWidth(left) - ansi.StringWidth(right)
	return left + strings.Repeat(" ", max(1, gap)) + right
}

// bytesText returns a number of bytes in decimal units, at most six characters.
func bytesText(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + "B"
	}
	value, unit := float64(n)/1000, 0
	const units = "kMGTPE"
	for value >= 999.5 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	precision := 0
	switch {
	case value < 9.95:
		precision = 1
	}
	return strconv.FormatFloat(value, 'f', precision, 64) + units[unit:unit+1] + "B"
}

// rateText returns bytes per second.
func rateText(perSecond float64) string { return bytesText(uint64(max(perSecond, 0)+0.5)) + "/s" }

// millis returns microseconds as milliseconds.
func millis(micros uint32) string {
	precision := 0
	switch {
	case micros < 10_000:
		precision = 2
	case micros < 100_000:
		precision = 1
	}
	return strconv.FormatFloat(float64(micros)/1000, 'f', precision, 64) + "ms"
}

// percent returns a share in whole percent.
func percent(share float64) string { return strconv.Itoa(int(share*100+0.5)) + "%" }

// span returns a time span in its two greatest units.
func span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m" + pad2(int(d.Seconds())%60) + "s"
	case d < 24*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h" + pad2(int(d.Minutes())%60) + "m"
	}
	return strconv.Itoa(int(d.Hours())/24) + "d" + pad2(int(d.Hours())%24) + "h"
}

func pad2(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// flow returns both ends of a flow.
func flow(local, remote netip.AddrPort) string { return local.String() + " > " + remote.String() }

// ids returns the address ids of a subflow.
func ids(local, remote mptcp.AddressID) string {
	return strconv.Itoa(int(local)) + ":" + strconv.Itoa(int(remote))
}

// count returns a number with its noun.
func count(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}
