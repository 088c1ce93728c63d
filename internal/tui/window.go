package tui

// window is the part of a list that is on the screen, and the row under the
// cursor.
type window struct {
	top    int
	cursor int
}

// fit keeps the cursor within n rows and the cursor's row within the height.
func (w *window) fit(n, height int) {
	w.cursor = max(0, min(w.cursor, n-1))
	w.top = min(w.top, w.cursor)
	w.top = max(w.top, w.cursor-height+1)
	w.scroll(n, height)
}

// scroll keeps the top such that no room is left empty below.
func (w *window) scroll(n, height int) { w.top = max(0, min(w.top, n-height)) }

// cut returns the lines of the window.
func (w *window) cut(lines []string, height int) []string {
	w.scroll(len(lines), height)
	return lines[w.top:min(len(lines), w.top+height)]
}
