package counters

import (
	"fmt"
	"strconv"
	"strings"

	"mptcpctl/mptcp"
)

// The first words of the pairs of lines in the files netstat and snmp.
const (
	tableMPTCP = "MPTcpExt:"
	tableTCP   = "TcpExt:"
	tableIP    = "IpExt:"
	tableSNMP  = "Tcp:"
	tableIPv4  = "Ip:"
)

// ParseTable returns the counters of one table of /proc/net/netstat or
// /proc/net/snmp: a line of names and a line of values, both starting with the
// table's name and a colon, such as "MPTcpExt:". Lines of other tables are
// skipped whatever they hold.
//
// A setting that the kernel writes as a negative number (Tcp MaxConn) is returned
// modulo 2^64. An absent table gives an error that [errors.Is]
// [mptcpctl/mptcp.ErrNotSupported]; a damaged one any other.
func ParseTable(text, table string) (Values, error) {
	var v Values
	found := false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != table {
			continue
		}
		if !found {
			v.names, found = cloneStrings(fields[1:]), true
			continue
		}
		var err error
		v.values, err = parseNumbers(fields[1:])
		switch {
		case err != nil:
			return Values{}, fmt.Errorf("table %s %w", strings.TrimSuffix(table, ":"), err)
		case len(v.values) != len(v.names):
			return Values{}, fmt.Errorf(
				"table %s has %d names and %d values", strings.TrimSuffix(table, ":"), len(v.names), len(v.values),
			)
		}
		return v, nil
	}
	if found {
		return Values{}, fmt.Errorf("table %s has no values", strings.TrimSuffix(table, ":"))
	}
	return Values{}, fmt.Errorf("no table %s: %w", strings.TrimSuffix(table, ":"), mptcp.ErrNotSupported)
}

// cloneStrings copies the words out of the text that they point into, so that a
// few names do not hold a whole file in memory.
func cloneStrings(words []string) []string {
	joined := strings.Join(words, " ")
	return strings.Fields(joined)
}

// parseNumbers reads the fields as numbers, negative ones modulo 2^64.
func parseNumbers(fields []string) ([]uint64, error) {
	values := make([]uint64, len(fields))
	for i, field := range fields {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil && strings.HasPrefix(field, "-") {
			var signed int64
			signed, err = strconv.ParseInt(field, 10, 64)
			n = uint64(signed)
		}
		if err != nil {
			return nil, fmt.Errorf("has %q for a number", field)
		}
		values[i] = n
	}
	return values, nil
}
