package tui

import (
	"strings"

	"mptcpctl/internal/filter"
)

// helpLines are the keys and the words of the filter.
func helpLines(l *look) []string {
	lines := []string{l.paint(bold, "Everywhere")}
	add := func(key, what string) {
		if l.ascii {
			key, what = strings.ReplaceAll(key, "…", "..."), strings.ReplaceAll(what, "…", "...")
		}
		lines = append(lines, "  "+l.left(key, 21)+" "+what)
	}
	head := func(title string) { lines = append(lines, "", l.paint(bold, title)) }
	add("1-6, tab", "the screens")
	add("/", "show only what matches a filter; an empty one shows all")
	add("space, p", "freeze the screen, and continue")
	add("f", "show only the events of the connection under the cursor")
	add("esc", "go back; then stop following; then remove the filter")
	add("up down j k", "move; also page up and down, home g, end G")
	add("?", "this page")
	add("q, ctrl+c", "quit")
	head("2 connections")
	add("enter", "open the connection")
	add("s, r", "sort by the next column; reverse the order")
	add("t", "hide or show the subflows")
	add("e", "also show connections that have ended")
	head("3 connection")
	add("+ - 0", "the timeline shows less time, more, all of it")
	head("5 endpoints (with --allow-changes)")
	add("a, d", "add an endpoint; delete the one under the cursor")
	add("l", "set the limits")
	head("6 doctor")
	add("r", "look again")
	head("Filter: joined by and, or, not, ( )")
	for _, t := range filter.Terms() {
		add(t.Word+" "+t.Argument, t.Meaning)
	}
	return lines
}
