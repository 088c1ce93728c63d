package present

import "strconv"

// appendBytes appends a number of bytes in decimal units with three digits.
func appendBytes(b []byte, n uint64) []byte {
	if n < 1000 {
		b = strconv.AppendUint(b, n, 10)
		return append(b, 'B')
	}
	units := "kMGTPE"
	value, unit := float64(n)/1000, 0
	for value >= 999.5 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	precision := 0
	switch {
	case value < 9.995:
		precision = 2
	case value < 99.95:
		precision = 1
	}
	b = strconv.AppendFloat(b, value, 'f', precision, 64)
	return append(b, units[unit], 'B')
}

// appendMillis appends microseconds as milliseconds.
func appendMillis(b []byte, micros uint32) []byte {
	b = strconv.AppendUint(b, uint64(micros/1000), 10)
	if rest := int(micros % 1000); rest != 0 {
		b = append(b, '.')
		b = append(b, byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return b
}
