package line

import (
	"strconv"
	"time"
)

// Span reads a time such as 5s; a number without a unit is of seconds.
func Span(text string) (time.Duration, error) {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	return time.ParseDuration(text)
}
