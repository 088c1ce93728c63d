package present

import (
	"bytes"
	"encoding/json"
	"io"

	"mptcpctl/mptcp"
)

// ConnectionWriter writes a list of connections one by one: none of them is kept,
// and there are few writes. Out must be set.
type ConnectionWriter struct {
	Out    io.Writer
	Text   ConnectionText // how text looks
	JSON   bool           // one JSON array, schema version 1, instead of text
	Pretty bool           // indent the JSON

	count    int
	buffer   []byte
	compact  []byte
	indented bytes.Buffer
}

// writeSize is how much is collected for one write.
const writeSize = 64 << 10

// Count returns the number of connections that were written.
func (w *ConnectionWriter) Count() int { return w.count }

// Write adds a connection. Lists of it that are empty are "[]" in JSON, never null.
func (w *ConnectionWriter) Write(c *mptcp.Connection) error {
	if w.buffer == nil {
		w.buffer = make([]byte, 0, writeSize+writeSize/4)
	}
	if w.JSON {
		if err := w.appendJSON(c); err != nil {
			return err
		}
	} else {
		w.buffer = w.Text.Append(w.buffer, c)
	}
	w.count++
	if len(w.buffer) < writeSize {
		return nil
	}
	return w.flush()
}

// Close writes what is left, and ends the array. It does not close Out.
func (w *ConnectionWriter) Close() error {
	switch {
	case !w.JSON:
	case w.count == 0:
		w.buffer = append(w.buffer, "[]\n"...)
	case w.Pretty:
		w.buffer = append(w.buffer, "\n]\n"...)
	default:
		w.buffer = append(w.buffer, "]\n"...)
	}
	if len(w.buffer) == 0 {
		return nil
	}
	return w.flush()
}

func (w *ConnectionWriter) flush() error {
	_, err := w.Out.Write(w.buffer)
	w.buffer = w.buffer[:0]
	return err
}

const jsonIndent = "    "

// appendJSON appends an element of the array, as encoding/json writes it within
// one.
func (w *ConnectionWriter) appendJSON(c *mptcp.Connection) error {
	if w.count == 0 {
		w.buffer = append(w.buffer, '[')
	} else {
		w.buffer = append(w.buffer, ',')
	}
	if !w.Pretty {
		w.buffer = AppendConnection(w.buffer, c)
		return nil
	}
	w.buffer = append(w.buffer, "\n"+jsonIndent...)
	w.compact = AppendConnection(w.compact[:0], c)
	w.indented.Reset()
	if err := json.Indent(&w.indented, w.compact, jsonIndent, jsonIndent); err != nil {
		return err
	}
	w.buffer = append(w.buffer, w.indented.Bytes()...)
	return nil
}
