package present

import (
	"bytes"
	"encoding/json"
	"io"
)

// JSON writes v as JSON with a line break at its end; pretty indents it. Control
// characters are escaped, as by [EscapeJSON].
func JSON(w io.Writer, v any, pretty bool) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if pretty {
		encoder.SetIndent("", jsonIndent)
	}
	if err := encoder.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(EscapeJSON(text.Bytes()))
	return err
}
