package line

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// When reads a moment as people write them, seen from now: 03:00 (the last time that it was
// so), yesterday-14:05, 2026-12-01 or 2026-12-01T03:00, 10m-ago or 10m, a number of seconds
// since 1970 behind @, or now. Without a zone it is local time.
func When(text string, now time.Time) (time.Time, error) {
	word := strings.ToLower(strings.TrimSpace(text))
	if word == "now" {
		return now, nil
	}
	if seconds, ok := strings.CutPrefix(word, "@"); ok {
		if n, err := strconv.ParseFloat(seconds, 64); err == nil && n >= 0 && n < 1e11 {
			return time.Unix(0, int64(n*1e9)), nil
		}
	}
	for _, ago := range []string{"-ago", " ago"} {
		word = strings.TrimSuffix(word, ago)
	}
	if span, err := Span(word); err == nil && span >= 0 && !allDigits(word) {
		return now.Add(-span), nil
	}
	for name, back := range map[string]int{"today": 0, "yesterday": 1} {
		rest, ok := strings.CutPrefix(word, name)
		if !ok {
			continue
		}
		day := now.AddDate(0, 0, -back)
		if rest == "" {
			return time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, now.Location()), nil
		}
		if clock, err := clockTime(strings.TrimLeft(rest, "-t ")); err == nil {
			return on(day, clock), nil
		}
	}
	if clock, err := clockTime(word); err == nil {
		at := on(now, clock)
		if at.After(now) {
			at = on(now.AddDate(0, 0, -1), clock)
		}
		return at, nil
	}
	if at, ok := date(strings.ToUpper(word), now.Location()); ok {
		return at, nil
	}
	return time.Time{}, fmt.Errorf(
		"%q: want a time such as 03:00, yesterday-14:05, 2026-12-01T03:00 or 10m-ago", text)
}

func allDigits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// clockTime reads a time of the day.
func clockTime(text string) (time.Time, error) {
	at, err := time.Parse("15:04:05", text)
	if err != nil {
		at, err = time.Parse("15:04", text)
	}
	return at, err
}

// on returns that time of that day.
func on(day, clock time.Time) time.Time {
	return time.Date(
		day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(),
		day.Location(),
	)
}

// date reads a date, with or without a time of the day.
func date(text string, local *time.Location) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		for _, between := range []string{"T", " ", "-"} {
			form := strings.Replace(layout, "T", between, 1)
			if at, err := time.ParseInLocation(form, text, local); err == nil {
				return at, true
			}
		}
	}
	return time.Time{}, false
}
