package tui

// window is the part of a list that is on the screen, and the row under the
// cursor.
type window struct {
	top    int
	cursor int
}

// scroll keeps the top such that no room is left empty below.
func (w *window) scroll(n, height int) { w.top = max(0, min(w.top, n-height)) }

// cut returns the lines of the window.
func (w *window) cut(lines []string, height int) []string {
	w.scroll(len(lines), height)
	return lines[w.top:min(len(lines), w.top+height)]
}
